/* GET /accounts/{a}/pcaps/{id}/download: a finished capture's file, whole or in part, streamed from the store.
 *
 * One buffer of LIMIT_DOWNLOAD_BUFFER_BYTES for each download: the next piece is read when the client has taken the last.
 */
#pragma once

#include "api/request.h"

/* Serve the file: pcap, or pcapng with ?format=pcapng. */
void pcap_serve_download(struct api_request *r);
