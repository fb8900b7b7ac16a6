#include "storage/sigv4.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/error.h"

#define ALGORITHM "AWS4-HMAC-SHA256"

enum {
	ARENA_BYTES = 128 * 1024,
	TEXT_BYTES = 64 * 1024,
	DAY_CHARS = 8,     /* of a date: "20130524" */
	PRESIGN_PAIRS = 5, /* what is added to the query */
	SECRET_KEY_BYTES_MAX = 1024,
};

/* A name and its value as they are signed, in the arena. */
struct item {
	const char *name, *value;
	size_t position; /* as it was given: keeps the order of equal names */
};

/* The canonical forms of one request. */
struct canonical {
	struct arena arena;
	struct item query[SIGV4_PAIRS_MAX], headers[SIGV4_PAIRS_MAX];
	size_t query_count, header_count;
	const char *signed_headers; /* "host;x-amz-date" */
};

void sigv4_date(int64_t now_s, char *dst)
{
	time_t t = (time_t)now_s;
	struct tm tm;

	EC_ASSERT(gmtime_r(&t, &tm) &&
		  strftime(dst, SIGV4_DATE_BYTES, "%Y%m%dT%H%M%SZ", &tm) == SIGV4_DATE_BYTES - 1);
}

/* RFC 3986 section 2.3; keep: one more byte that is not encoded, or NUL. */
static void put_encoded(struct buf *dst, const char *text, char keep)
{
	static const char unreserved[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

	for (const char *p = text; *p; p++) {
		if (strchr(unreserved, *p) || (keep && *p == keep))
			buf_put(dst, p, 1);
		else
			buf_printf(dst, "%%%02X", (unsigned)(uint8_t)*p);
	}
}

/* The text of buf in the arena; buf is done. NULL without memory. */
static const char *keep_text(struct arena *arena, struct buf *buf)
{
	const char *text = buf_cstr(buf);
	const char *copy = text ? arena_strdup(arena, text) : NULL;

	buf_fini(buf);
	return copy;
}

static const char *encoded(struct arena *arena, const char *text)
{
	struct buf buf;

	buf_init(&buf, TEXT_BYTES);
	put_encoded(&buf, text, '\0');
	return keep_text(arena, &buf);
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static const char *lower_name(struct arena *arena, const char *name)
{
	char *copy = arena_strdup(arena, name);

	for (char *p = copy; p && *p; p++)
		*p = lower(*p);
	return copy;
}

/* Without spaces at both ends, and runs of them as one. */
static const char *trimmed(struct arena *arena, const char *value)
{
	char *copy = arena_strdup(arena, value);
	size_t n = 0;

	for (const char *p = value; copy && *p; p++) {
		bool space = *p == ' ' || *p == '\t';
		if (!space)
			copy[n++] = *p;
		else if (n > 0 && copy[n - 1] != ' ')
			copy[n++] = ' ';
	}
	if (n > 0 && copy[n - 1] == ' ')
		n--;
	if (copy)
		copy[n] = '\0';
	return copy;
}

/* Names are compared by themselves: "a" is before "a-b", although '=' and ':' come after '-'. */
static int by_name_and_value(const void *a, const void *b)
{
	const struct item *x = a;
	const struct item *y = b;
	int r = strcmp(x->name, y->name);

	return r != 0 ? r : strcmp(x->value, y->value);
}

static int by_name_and_position(const void *a, const void *b)
{
	const struct item *x = a;
	const struct item *y = b;
	int r = strcmp(x->name, y->name);

	return r != 0 ? r : (x->position > y->position) - (x->position < y->position);
}

static int add_query(struct canonical *c, const struct sigv4_pair *pairs, size_t count)
{
	if (c->query_count + count > SIGV4_PAIRS_MAX)
		return EC_ELIMIT;
	for (size_t i = 0; i < count; i++) {
		struct item *item = &c->query[c->query_count++];
		item->name = encoded(&c->arena, pairs[i].name);
		item->value = encoded(&c->arena, pairs[i].value);
		if (!item->name || !item->value)
			return EC_ENOMEM;
	}
	qsort(c->query, c->query_count, sizeof(c->query[0]), by_name_and_value);
	return 0;
}

/* A header that was given several times is one with its values in order. */
static int join_headers(struct canonical *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->header_count; i++) {
		struct item *last = n > 0 ? &c->headers[n - 1] : NULL;
		if (!last || strcmp(last->name, c->headers[i].name) != 0) {
			c->headers[n++] = c->headers[i];
			continue;
		}
		last->value = arena_printf(&c->arena, "%s,%s", last->value, c->headers[i].value);
		if (!last->value)
			return EC_ENOMEM;
	}
	c->header_count = n;
	return 0;
}

static int take_headers(struct canonical *c, const struct sigv4_request *request)
{
	struct buf names;

	if (request->header_count > SIGV4_PAIRS_MAX)
		return EC_ELIMIT;
	for (size_t i = 0; i < request->header_count; i++) {
		struct item *item = &c->headers[c->header_count++];
		item->position = i;
		item->name = lower_name(&c->arena, request->headers[i].name);
		item->value = trimmed(&c->arena, request->headers[i].value);
		if (!item->name || !item->value)
			return EC_ENOMEM;
	}
	qsort(c->headers, c->header_count, sizeof(c->headers[0]), by_name_and_position);
	int r = join_headers(c);
	if (r < 0)
		return r;
	buf_init(&names, TEXT_BYTES);
	for (size_t i = 0; i < c->header_count; i++)
		buf_printf(&names, "%s%s", i > 0 ? ";" : "", c->headers[i].name);
	c->signed_headers = keep_text(&c->arena, &names);
	return c->signed_headers ? 0 : EC_ENOMEM;
}

static int canonical_init(struct canonical *c, const struct sigv4_request *request)
{
	memset(c, 0, sizeof(*c));
	arena_init(&c->arena, ARENA_BYTES);
	int r = add_query(c, request->query, request->query_count);
	return r == 0 ? take_headers(c, request) : r;
}

static void canonical_fini(struct canonical *c)
{
	arena_fini(&c->arena);
}

static void put_query(const struct canonical *c, struct buf *dst)
{
	for (size_t i = 0; i < c->query_count; i++)
		buf_printf(dst, "%s%s=%s", i > 0 ? "&" : "", c->query[i].name, c->query[i].value);
}

static void put_target(const struct canonical *c, const struct sigv4_request *request,
		       struct buf *dst)
{
	put_encoded(dst, request->path, '/');
	if (c->query_count > 0)
		buf_puts(dst, "?");
	put_query(c, dst);
}

static void put_canonical(const struct canonical *c, const struct sigv4_request *request,
			  struct buf *dst)
{
	buf_printf(dst, "%s\n", request->method);
	put_encoded(dst, request->path, '/');
	buf_puts(dst, "\n");
	put_query(c, dst);
	buf_puts(dst, "\n");
	for (size_t i = 0; i < c->header_count; i++)
		buf_printf(dst, "%s:%s\n", c->headers[i].name, c->headers[i].value);
	buf_printf(dst, "\n%s\n%s", c->signed_headers, request->payload_hash);
}

static void put_scope(const struct sigv4_key *key, const char *date, struct buf *dst)
{
	buf_printf(dst, "%.*s/%s/%s/aws4_request", DAY_CHARS, date, key->region, key->service);
}

static struct bytes digest_bytes(const struct digest *d)
{
	return (struct bytes){d->b, sizeof(d->b)};
}

/* The key of a day, a region and a service. */
static struct digest signing_key(const struct sigv4_key *key, const char *date)
{
	char first[SECRET_KEY_BYTES_MAX + sizeof("AWS4")];
	int n = snprintf(first, sizeof(first), "AWS4%.*s", SECRET_KEY_BYTES_MAX, key->secret_key);
	struct digest d = digest_hmac((struct bytes){(const uint8_t *)first, (size_t)n},
				      (struct bytes){(const uint8_t *)date, DAY_CHARS});

	explicit_bzero(first, sizeof(first));
	d = digest_hmac(digest_bytes(&d), bytes_of(key->region));
	d = digest_hmac(digest_bytes(&d), bytes_of(key->service));
	return digest_hmac(digest_bytes(&d), bytes_of("aws4_request"));
}

/* The signature as hex. Returns 0 or a code. */
static int sign(const struct sigv4_key *key, const struct canonical *c,
		const struct sigv4_request *request, const char *date,
		char signature[DIGEST_HEX_BYTES])
{
	struct buf text;
	char hex[DIGEST_HEX_BYTES];

	EC_ASSERT(strlen(date) == SIGV4_DATE_BYTES - 1);
	buf_init(&text, TEXT_BYTES);
	put_canonical(c, request, &text);
	struct digest hash = digest_sha256(buf_bytes(&text));
	digest_hex(&hash, hex);
	int r = text.failed;
	buf_reset(&text);
	buf_printf(&text, ALGORITHM "\n%s\n", date);
	put_scope(key, date, &text);
	buf_printf(&text, "\n%s", hex);
	if (r == 0)
		r = text.failed;
	if (r == 0) {
		struct digest by = signing_key(key, date);
		struct digest d = digest_hmac(digest_bytes(&by), buf_bytes(&text));
		digest_hex(&d, signature);
		explicit_bzero(&by, sizeof(by));
	}
	buf_fini(&text);
	return r;
}

int sigv4_target(const struct sigv4_request *request, struct buf *dst)
{
	struct canonical c;
	int r = canonical_init(&c, request);

	if (r == 0) {
		put_target(&c, request, dst);
		r = dst->failed;
	}
	canonical_fini(&c);
	return r;
}

int sigv4_authorize(const struct sigv4_key *key, const struct sigv4_request *request,
		    const char *date, struct buf *dst)
{
	struct canonical c;
	char signature[DIGEST_HEX_BYTES];
	int r = canonical_init(&c, request);

	if (r == 0)
		r = sign(key, &c, request, date, signature);
	if (r == 0) {
		buf_printf(dst, ALGORITHM " Credential=%s/", key->access_key_id);
		put_scope(key, date, dst);
		buf_printf(dst, ",SignedHeaders=%s,Signature=%s", c.signed_headers, signature);
		r = dst->failed;
	}
	canonical_fini(&c);
	return r;
}

/* What a presigned request says of its signature, but for the signature. */
static int add_presign_query(struct canonical *c, const struct sigv4_key *key, const char *date,
			     uint32_t expires_s)
{
	char expires[16];
	struct buf credential;

	buf_init(&credential, TEXT_BYTES);
	buf_printf(&credential, "%s/", key->access_key_id);
	put_scope(key, date, &credential);
	const char *text = keep_text(&c->arena, &credential);
	(void)snprintf(expires, sizeof(expires), "%u", (unsigned)expires_s);
	const struct sigv4_pair pairs[PRESIGN_PAIRS] = {
		{"X-Amz-Algorithm", ALGORITHM},
		{"X-Amz-Credential", text},
		{"X-Amz-Date", date},
		{"X-Amz-Expires", expires},
		{"X-Amz-SignedHeaders", c->signed_headers},
	};
	return text ? add_query(c, pairs, PRESIGN_PAIRS) : EC_ENOMEM;
}

int sigv4_presign(const struct sigv4_key *key, const struct sigv4_request *request,
		  const char *date, uint32_t expires_s, struct buf *dst)
{
	struct canonical c;
	char signature[DIGEST_HEX_BYTES];
	int r = canonical_init(&c, request);

	if (r == 0)
		r = add_presign_query(&c, key, date, expires_s);
	if (r == 0)
		r = sign(key, &c, request, date, signature);
	if (r == 0) {
		put_target(&c, request, dst);
		buf_printf(dst, "&X-Amz-Signature=%s", signature);
		r = dst->failed;
	}
	canonical_fini(&c);
	return r;
}
