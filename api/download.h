/* GET /accounts/{a}/pcaps/{id}/download: a finished capture's file, whole or in part, streamed from the store.
 *
 * One buffer of LIMIT_DOWNLOAD_BUFFER_BYTES for each download: the next piece is read when the client has taken the last. A download can be
 * cut for another account's (api_request_reserve_answer).
 */
#pragma once

#include "api/request.h"

/* Serve the file: pcap, or pcapng with ?format=pcapng. */
void pcap_serve_download(struct api_request *r);
