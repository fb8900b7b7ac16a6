/* One line in the log for each request. */
#pragma once

#include "api/request.h"

/* Write the line. Probes and scrapes are debug, the rest info. Never a query string, a header or a body: there are secrets in
 * those; and no path from a character on that none of our paths has ("..." stands for the rest). */
void api_access_log(const struct api_exchange *x);
