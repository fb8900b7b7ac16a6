/* What the API program is made of: everything that a handler can reach from its request.
 *
 * One struct, filled by main in the order of its members and torn down in reverse. No member is replaced while
 * the program serves.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "api/server.h"

struct jq;
struct store;

struct api_app {
	uv_loop_t *loop;
	struct jq *jq;
	struct store *store;
	struct api_server *server;
};
