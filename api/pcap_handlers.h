/* Tenants' operations on packet captures but the download: submit, list, get, stop, delete, limits.
 *
 * Each reads its request, asks the job queue, and shows the result; the deciding parts are pcap_request, pcap_list_query and
 * pcap_view. The credential and its permission were checked before (auth.h).
 */
#pragma once

#include "api/request.h"

/* POST /accounts/{a}/pcaps */
void pcap_serve_submit(struct api_request *r);

/* GET /accounts/{a}/pcaps */
void pcap_serve_list(struct api_request *r);

/* GET /accounts/{a}/pcaps/{id} */
void pcap_serve_get(struct api_request *r);

/* PUT /accounts/{a}/pcaps/{id}/stop */
void pcap_serve_stop(struct api_request *r);

/* DELETE /accounts/{a}/pcaps/{id} */
void pcap_serve_delete(struct api_request *r);

/* GET /accounts/{a}/pcaps/limits */
void pcap_serve_limits(struct api_request *r);
