/* The one routing table of the API. */
#pragma once

#include "api/route.h"

/* All rows, of all listeners, in the order in which they are tried. */
extern const struct api_route api_routes[];

/* Number of rows in api_routes. */
extern const size_t api_routes_count;
