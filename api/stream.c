/* Answers that are produced piece by piece (request.h). */
#include "api/request.h"
#include "api/request_lib.h"

/* The source is done with; at most once. */
static void end_source(struct api_request *r, bool complete)
{
	const struct api_stream_source *source = r->source;

	r->source = NULL;
	if (source)
		source->end(r->source_arg, complete);
}

/* The client has taken the last piece. */
static void on_proceed(h2o_generator_t *generator, h2o_req_t *req)
{
	struct api_request *r = CONTAINER_OF(generator, struct api_request, generator);

	(void)req;
	r->source->pull(r, r->source_arg);
}

/* The connection is closed half way. */
static void on_stop(h2o_generator_t *generator, h2o_req_t *req)
{
	(void)req;
	end_source(CONTAINER_OF(generator, struct api_request, generator), false);
}

void api_answer_stream(struct api_request *r, int status, const char *type, uint64_t length,
		       const struct api_stream_source *source, void *arg)
{
	struct api_conn *c = r->conn;

	EC_ASSERT(length > 0);
	r->source = source;
	r->source_arg = arg;
	r->generator = (h2o_generator_t){on_proceed, on_stop};
	api_answer_begin(r, status, type, length);
	if (bytes_equal(r->method, bytes_of("HEAD"))) {
		api_answer_send(r, (struct bytes){NULL, 0});
		return;
	}
	h2o_start_response(r->req, &r->generator);
	source->pull(r, arg);
	api_conn_answered(c);
}

void api_stream_push(struct api_request *r, struct bytes piece, bool last)
{
	struct api_conn *c = r->conn;
	h2o_iovec_t out = h2o_iovec_init(piece.p, piece.n);

	EC_ASSERT(r->source && piece.n > 0);
	h2o_send(r->req, &out, 1, last ? H2O_SEND_STATE_FINAL : H2O_SEND_STATE_IN_PROGRESS);
	api_conn_hook(c);
}

void api_stream_fail(struct api_request *r)
{
	api_conn_cut(r->conn);
}

void api_stream_released(struct api_request *r, bool complete)
{
	end_source(r, complete);
}
