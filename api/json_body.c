#include "api/json_body.h"

#include <string.h>
#include <strings.h>

#include "base/json.h"

bool json_body_type(struct api_request *r, struct bytes *ret)
{
	struct bytes encoding;

	if (api_request_header(r, "content-type", ret) > 1) {
		api_answer_error(r, API_MALFORMED, "Content-Type occurs more than once");
		return false;
	}
	if (api_request_header(r, "content-encoding", &encoding) > 0 &&
	    !bytes_equal(encoding, bytes_of("identity"))) {
		api_answer_error(r, API_INVALID, "Content-Encoding is not supported");
		return false;
	}
	return true;
}

/* The media type without parameters is one that clients send JSON under: JSON's own, and what they send when they were told nothing. */
static bool is_accepted_type(struct bytes t)
{
	static const char *const types[] = {"application/json", "text/json", "text/plain",
					    "application/x-www-form-urlencoded",
					    "application/octet-stream"};
	size_t n = 0;

	while (n < t.n && t.p[n] != ';' && t.p[n] != ' ' && t.p[n] != '\t')
		n++;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (strlen(types[i]) == n && strncasecmp(types[i], (const char *)t.p, n) == 0)
			return true;
	}
	return n > 5 && strncasecmp("+json", (const char *)t.p + n - 5, 5) == 0;
}

/* JSON is UTF-8 (RFC 8259 section 8.1): another charset would change what the bytes mean. */
static bool is_other_charset(struct bytes t)
{
	static const char word[] = "charset=";
	const size_t n = sizeof(word) - 1;

	for (size_t i = 0; i + n <= t.n; i++) {
		if (strncasecmp((const char *)t.p + i, word, n) != 0)
			continue;
		struct bytes v = {t.p + i + n, t.n - i - n};
		if (v.n > 0 && v.p[0] == '"')
			v = (struct bytes){v.p + 1, v.n - 1};
		return !(v.n >= 5 && strncasecmp((const char *)v.p, "utf-8", 5) == 0) &&
		       !(v.n >= 8 && strncasecmp((const char *)v.p, "us-ascii", 8) == 0);
	}
	return false;
}

static void check_content_type(struct bytes t, struct field_errors *errors)
{
	if (t.n == 0)
		return;
	if (!is_accepted_type(t))
		field_errors_add(errors, "", "Content-Type must be application/json, not %.*s",
				 (int)(t.n < 64 ? t.n : 64), (const char *)t.p);
	else if (is_other_charset(t))
		field_errors_add(errors, "", "the body must be UTF-8");
}

int json_body_parse(struct bytes content_type, struct bytes body, cJSON **ret,
		    struct field_errors *errors)
{
	AUTO_JSON cJSON *tree = NULL;
	struct error err = {.code = 0};
	size_t before = errors->count;

	check_content_type(content_type, errors);
	if (body.n == 0)
		field_errors_add(errors, "", "the body is empty");
	if (errors->count > before)
		return EC_EINVAL;
	int r = json_parse(body, &tree, &err);
	if (r == EC_ENOMEM)
		return r;
	if (r < 0)
		field_errors_add(errors, "", "%s", err.text);
	else if (!cJSON_IsObject(tree))
		field_errors_add(errors, "", "the body must be a JSON object");
	if (errors->count > before)
		return EC_EINVAL;
	*ret = TAKE(tree);
	return 0;
}
