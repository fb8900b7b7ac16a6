/* POST /tokens (first line: Content-Type, the rest: body): no crash, faults exactly when refused, pointers well-formed, and what is
 * accepted is no wider than was asked for: every network of it is in the body as such. */
#include <stdlib.h>
#include <string.h>

#include "api/token_request.h"
#include "base/json.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { NOW_US = 1000000 };

static void check_faults(const struct field_errors *errors)
{
	for (size_t i = 0; i < errors->count && i < FIELD_ERRORS_MAX; i++) {
		const struct field_error *e = &errors->items[i];
		EC_ASSERT(e->pointer[0] == '\0' || e->pointer[0] == '/');
		EC_ASSERT(utf8_valid(bytes_of(e->pointer)));
		EC_ASSERT(e->message[0] != '\0');
	}
}

static void check_sources(const struct token_request *q, const cJSON *tree)
{
	const cJSON *in = json_get(json_get(json_get(tree, "condition"), "request_ip"), "in");

	EC_ASSERT((size_t)cJSON_GetArraySize(in) == q->source_count);
	EC_ASSERT(q->source_count <= LIMIT_TOKEN_SOURCES);
	for (size_t i = 0; i < q->source_count; i++) {
		const char *text = cJSON_GetStringValue(cJSON_GetArrayItem(in, (int)i));
		struct prefix prefix;
		EC_ASSERT(prefix_parse(bytes_of(text), &prefix, NULL) == 0);
		EC_ASSERT(memcmp(&prefix, &q->sources[i], sizeof(prefix)) == 0);
	}
}

static void check_accepted(const struct token_request *q, struct bytes body)
{
	AUTO_JSON cJSON *tree = NULL;
	const cJSON *expires = NULL, *condition = NULL;

	EC_ASSERT(json_parse(body, &tree, NULL) == 0);
	EC_ASSERT(strlen(q->name) >= 1 && strlen(q->name) <= LIMIT_NAME_BYTES);
	EC_ASSERT(strcmp(q->name, cJSON_GetStringValue(json_get(tree, "name"))) == 0);
	EC_ASSERT(q->permissions > 0 && q->permissions < 16);
	EC_ASSERT(__builtin_popcount(q->permissions) ==
		  cJSON_GetArraySize(json_get(tree, "permissions")));
	expires = json_get(tree, "expires_on");
	condition = json_get(tree, "condition");
	EC_ASSERT((expires && !cJSON_IsNull(expires)) == (q->expires_us != 0));
	EC_ASSERT(q->expires_us == 0 || q->expires_us > NOW_US);
	EC_ASSERT((condition && !cJSON_IsNull(condition)) == (q->source_count > 0));
	check_sources(q, tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const uint8_t *line = n > 0 ? memchr(p, '\n', n) : NULL;
	struct token_request q;
	struct jq_token_query query;
	struct field_errors errors = {.count = 0};
	struct arena arena;

	if (!line || n > LIMIT_BODY_BYTES)
		return 0;
	struct bytes type = {p, (size_t)(line - p)};
	struct token_body body = {type, {line + 1, n - type.n - 1}, NOW_US};
	arena_init(&arena, LIMIT_REQUEST_ARENA_BYTES);
	int r = token_request_parse(&body, &arena, &q, &errors);
	EC_ASSERT((r == EC_EINVAL) == (errors.count > 0));
	check_faults(&errors);
	if (r == 0)
		check_accepted(&q, body.body);
	errors.count = 0;
	r = token_query_parse(type, &query, &errors);
	EC_ASSERT((r == EC_EINVAL) == (errors.count > 0));
	check_faults(&errors);
	arena_fini(&arena);
	return 0;
}
