#include "api/route.h"

#include <stdio.h>
#include <string.h>

#include "base/id.h"

const char *api_listener_text(enum api_listener l)
{
	switch (l) {
#define X(name, bit, text)                                                                         \
	case name:                                                                                 \
		return text;
		API_LISTENERS(X)
#undef X
	}
	return "";
}

static bool starts_with(const char *p, const char *literal)
{
	return strncmp(p, literal, strlen(literal)) == 0;
}

/* Take the text that a "{...}" stands for; 0 when it has not the right form. */
static size_t take_param(const char *element, struct bytes path, size_t at)
{
	struct id id;
	struct bytes rest = {path.p + at, path.n - at};

	if (starts_with(element, "{rest}"))
		return rest.n;
	const uint8_t *slash = rest.n > 0 ? memchr(rest.p, '/', rest.n) : NULL;
	if (slash)
		rest.n = (size_t)(slash - rest.p);
	return id_parse(rest, &id) == 0 ? rest.n : 0;
}

static bool match_path(const char *pattern, struct bytes path, struct bytes *params)
{
	size_t at = 0, param = 0;
	const char *p = pattern;

	while (*p) {
		if (*p != '{') {
			if (at >= path.n || path.p[at] != (uint8_t)*p)
				return false;
			p++;
			at++;
			continue;
		}
		size_t n = take_param(p, path, at);
		EC_ASSERT(param < API_PARAMS_MAX);
		if (n == 0)
			return false;
		params[param++] = (struct bytes){path.p + at, n};
		at += n;
		p = strchr(p, '}') + 1;
	}
	return at == path.n;
}

static bool match_method(const char *allowed, struct bytes method)
{
	return bytes_equal(bytes_of(allowed), method) ||
	       (strcmp(allowed, "GET") == 0 && bytes_equal(bytes_of("HEAD"), method));
}

static void add_allowed(char *allow, const char *method)
{
	size_t n = strlen(allow);
	const char *text = strcmp(method, "GET") == 0 ? "GET, HEAD" : method;

	(void)snprintf(allow + n, API_ALLOW_BYTES - n, "%s%s", n > 0 ? ", " : "", text);
}

enum api_match api_route_find(const struct api_route *table, size_t count,
			      enum api_listener listener, struct bytes method, struct bytes path,
			      struct api_match_result *ret)
{
	bool found = false;

	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < count; i++) {
		const struct api_route *row = &table[i];
		struct bytes params[API_PARAMS_MAX] = {{NULL, 0}, {NULL, 0}};
		if (!(row->listeners & (unsigned)listener) ||
		    !match_path(row->pattern, path, params))
			continue;
		found = true;
		if (match_method(row->method, method)) {
			ret->route = row;
			memcpy(ret->params, params, sizeof(params));
			return API_MATCH;
		}
		add_allowed(ret->allow, row->method);
	}
	return found ? API_MATCH_METHOD : API_MATCH_NONE;
}
