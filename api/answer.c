#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/envelope.h"
#include "api/request.h"
#include "api/request_lib.h"
#include "base/json.h"

static const char json_type[] = "application/json";

void api_request_header_add(struct api_request *r, const char *name, const char *value)
{
	EC_ASSERT(r->header_count < API_HEADERS_ADDED_MAX);
	char *copy = arena_strdup(&r->arena, value);
	if (!copy)
		return;
	r->headers[r->header_count].name = name;
	r->headers[r->header_count++].value = copy;
}

static void put_header(struct api_request *r, const char *name, const char *value)
{
	h2o_add_header_by_str(&r->req->pool, &r->req->res.headers, name, strlen(name), 1, NULL,
			      value, strlen(value));
}

void api_answer_begin(struct api_request *r, int status, const char *type, uint64_t length)
{
	h2o_req_t *req = r->req;

	EC_ASSERT(!r->answered);
	r->answered = true;
	r->watch = NULL;
	r->status = status;
	r->server->stats.requests--;
	if (status >= 400) /* a refusal is small and soon sent: it takes nobody's place */
		api_request_release(r);
	else
		api_request_unmeter(r);
	req->res.status = status;
	req->res.reason = api_status_reason(status);
	req->res.content_length = length == UINT64_MAX ? SIZE_MAX : (size_t)length;
	if (type)
		put_header(r, "content-type", type);
	put_header(r, "x-request-id", r->id.hex);
	for (size_t i = 0; i < r->header_count; i++)
		put_header(r, r->headers[i].name, r->headers[i].value);
	if (r->server->draining || r->conn->surplus)
		req->http1_is_persistent = 0;
}

static bool is_head(const struct api_request *r)
{
	return bytes_equal(r->method, bytes_of("HEAD"));
}

void api_answer_send(struct api_request *r, struct bytes body)
{
	static h2o_generator_t generator;
	struct api_conn *c = r->conn;
	h2o_iovec_t piece = h2o_iovec_init(body.p, body.n);
	size_t count = body.n > 0 && !is_head(r) ? 1 : 0;

	h2o_start_response(r->req, &generator);
	h2o_send(r->req, &piece, count, H2O_SEND_STATE_FINAL);
	api_conn_hook(c);
	/* what the kernel has not taken by now waits for the client */
	if (c->request == r && uv_stream_get_write_queue_size(&c->uv.stream) > 0)
		api_answer_waits(r);
	api_conn_answered(c);
}

void api_answer_json(struct api_request *r, int status, cJSON *json)
{
	static const char no_memory[] =
		"{\"result\":null,\"success\":false,\"errors\":[{\"code\":1500,\"message\":"
		"\"Internal error\"}],\"messages\":[]}";

	r->body = json_print(json);
	cJSON_Delete(json);
	struct bytes body = bytes_of(r->body ? r->body : no_memory);
	api_answer_begin(r, r->body ? status : api_error_status(API_INTERNAL), json_type, body.n);
	api_answer_send(r, body);
}

void api_answer_result(struct api_request *r, cJSON *result)
{
	api_answer_json(r, 200, result ? api_envelope_ok(result, NULL, NULL) : NULL);
}

void api_answer_list(struct api_request *r, cJSON *result, cJSON *messages, cJSON *result_info)
{
	if (!result) {
		cJSON_Delete(messages);
		cJSON_Delete(result_info);
	}
	api_answer_json(r, 200, result ? api_envelope_ok(result, messages, result_info) : NULL);
}

void api_answer_bytes(struct api_request *r, int status, const char *type, struct bytes body)
{
	r->body = malloc(body.n + 1);
	if (!r->body) {
		api_answer_json(r, api_error_status(API_INTERNAL), NULL);
		return;
	}
	if (body.n > 0)
		memcpy(r->body, body.p, body.n);
	api_answer_begin(r, status, type, body.n);
	api_answer_send(r, (struct bytes){(const uint8_t *)r->body, body.n});
}

void api_answer_empty(struct api_request *r, int status)
{
	api_answer_begin(r, status, NULL, UINT64_MAX);
	api_answer_send(r, (struct bytes){NULL, 0});
}

static void answer_row(struct api_request *r, enum api_error row, uint32_t retry_after_s,
		       const char *message, const struct field_errors *faults)
{
	char text[16];

	if (retry_after_s > 0) {
		(void)snprintf(text, sizeof(text), "%u", retry_after_s);
		api_request_header_add(r, "retry-after", text);
	}
	if (api_error_forbids_retry(row))
		api_request_header_add(r, "x-should-retry", "false");
	api_answer_json(r, api_error_status(row), api_envelope_error(row, message, faults));
}

void api_answer_error(struct api_request *r, enum api_error row, const char *fmt, ...)
{
	char text[FIELD_MESSAGE_BYTES];
	va_list args;

	if (fmt) {
		va_start(args, fmt);
		(void)vsnprintf(text, sizeof(text), fmt, args);
		va_end(args);
	}
	answer_row(r, row, api_error_wants_retry_after(row) ? 1 : 0, fmt ? text : NULL, NULL);
}

void api_answer_busy(struct api_request *r, enum api_error row, uint32_t retry_after_s,
		     const char *fmt, ...)
{
	char text[FIELD_MESSAGE_BYTES];
	va_list args;

	if (fmt) {
		va_start(args, fmt);
		(void)vsnprintf(text, sizeof(text), fmt, args);
		va_end(args);
	}
	answer_row(r, row, retry_after_s > 0 ? retry_after_s : 1, fmt ? text : NULL, NULL);
}

void api_answer_faults(struct api_request *r, const struct field_errors *errors)
{
	EC_ASSERT(errors->count > 0);
	answer_row(r, API_INVALID, 0, NULL, errors);
}
