/* What the API program is made of: everything that a handler can reach from its request.
 *
 * One struct, filled by app.c in the order of its members and torn down in reverse. No member is replaced while
 * the program serves. One loop, one thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "api/config.h"
#include "api/server.h"

struct bucket_client;
struct bucket_list;
struct edge;
struct jq;
struct store;
struct api_health;
struct api_metrics;
struct api_rate;
struct login_gate;

struct api_app {
	struct api_config config;
	uv_loop_t *loop;
	struct api_metrics *metrics;
	struct api_rate *rate;     /* of requests */
	struct api_rate *refusals; /* of audit rows about refused requests */
	struct login_gate *logins;
	struct jq *jq;
	struct store *store;
	struct bucket_list *bucket_list;     /* NULL: tenants have no buckets */
	struct bucket_client *bucket_client; /* NULL as well once the program stops */
	struct api_health *health;
	struct edge *edge; /* NULL when there is no edge listener */
	struct api_server *server;
	/* the stop */
	uv_poll_t signals; /* on end_signals_open's descriptor */
	int signals_fd;
	int open_count; /* of what is still closing */
};

/* Open everything on loop (borrowed for the life of app) and begin to serve. config: copied; its texts borrowed likewise.
 * Returns 0, or a code with a text for stderr: EC_EINVAL for a setting; then nothing is open any more. */
int api_app_open(struct api_app *app, uv_loop_t *loop, const struct api_config *config,
		 struct error *err) EC_MUST_CHECK;

/* Serve until SIGTERM or SIGINT, drain, close everything. */
void api_app_run(struct api_app *app);
