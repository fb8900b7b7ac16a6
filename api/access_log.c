#include "api/access_log.h"

#include <string.h>

#include "base/limits.h"
#include "base/log.h"

static const char path_characters[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._~-";

static void add_bytes(struct log_line *l, const char *key, struct bytes b)
{
	char text[LIMIT_PATH_BYTES + 1];

	if (b.n > 0 && bytes_to_str(b, text, sizeof(text)) == 0)
		log_str(l, key, text);
}

/* A path as far as it has the characters that ours have: a signed URL whose '?' was lost has its signature in the path. */
static void add_path(struct log_line *l, struct bytes path)
{
	char text[LIMIT_PATH_BYTES + sizeof("...")];

	if (path.n == 0 || bytes_to_str(path, text, LIMIT_PATH_BYTES + 1) < 0)
		return;
	size_t n = strspn(text, path_characters);
	if (text[n] != '\0')
		(void)memcpy(text + n, "...", sizeof("..."));
	log_str(l, "path", text);
}

void api_access_log(const struct api_exchange *x)
{
	struct log_line l;
	bool probe = x->route && x->route->unmetered && x->route->permission == 0 &&
		     x->listener != API_EDGE;

	log_begin(&l, probe ? LOG_DEBUG : LOG_INFO, "request");
	log_str(&l, "id", x->request_id);
	log_str(&l, "listener", api_listener_text(x->listener));
	add_bytes(&l, "method", x->method);
	add_path(&l, x->path);
	log_str(&l, "route", x->route ? x->route->name : NULL);
	log_i64(&l, "status", x->status);
	log_u64(&l, "bytes", x->bytes);
	log_u64(&l, "took_us", x->took_us);
	log_str(&l, "peer", x->peer);
	log_str(&l, "account",
		x->identity && *x->identity->account.hex ? x->identity->account.hex : NULL);
	log_str(&l, "actor", x->identity ? x->identity->actor : NULL);
	if (!x->complete)
		log_str(&l, "complete", "false");
	log_end(&l);
}
