#include "storage/s3_place.h"

#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "storage/store.h"

enum { VALUE_BYTES = 512, STALL_MS_PER_S = 1000 };

/* A query's values as they were given; "" where absent. */
struct given {
	char region[VALUE_BYTES], endpoint[VALUE_BYTES], style[VALUE_BYTES], stall[VALUE_BYTES],
		plaintext[VALUE_BYTES];
};

static bool only(const char *text, const char *set)
{
	return text[strspn(text, set)] == '\0';
}

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* "General purpose bucket naming rules" of S3; '_' and upper case, which old buckets and Ceph have, are taken too. */
static int take_bucket(struct s3_place *p, struct bytes text, struct error *err)
{
	if (bytes_to_str(text, p->bucket, sizeof(p->bucket)) < 0 || text.n < 3 ||
	    !only(p->bucket, LOWER UPPER DIGITS ".-_") || strstr(p->bucket, "..") ||
	    p->bucket[0] == '.' || p->bucket[0] == '-')
		return error_set(err, EC_EINVAL,
				 "storage: s3://%.*s: a bucket's name has 3 to %d letters, digits, "
				 "'.', '-', '_'",
				 (int)text.n, (const char *)text.p, S3_BUCKET_MAX);
	return 0;
}

static int take_prefix(struct s3_place *p, struct bytes text, struct error *err)
{
	while (text.n > 0 && text.p[text.n - 1] == '/')
		text.n--;
	p->prefix[0] = '\0';
	if (text.n == 0)
		return 0;
	if (text.n > S3_PREFIX_MAX || !store_key_valid(text))
		return error_set(err, EC_EINVAL,
				 "storage: s3://%s/%.*s: a prefix has segments of letters, digits, "
				 "'.', '_', '-', %d bytes at most",
				 p->bucket, (int)text.n, (const char *)text.p, S3_PREFIX_MAX);
	(void)snprintf(p->prefix, sizeof(p->prefix), "%.*s/", (int)text.n, (const char *)text.p);
	return 0;
}

static int take_parameter(struct given *g, struct bytes pair, struct error *err)
{
	const struct {
		const char *name;
		char *dst;
	} known[] = {{"region", g->region},
		     {"endpoint", g->endpoint},
		     {"style", g->style},
		     {"stall", g->stall},
		     {"plaintext", g->plaintext}};
	const uint8_t *equals = pair.n > 0 ? memchr(pair.p, '=', pair.n) : NULL;
	size_t n = equals ? (size_t)(equals - pair.p) : pair.n;
	struct bytes name = {pair.p, n};

	for (size_t i = 0; equals && i < ARRAY_LEN(known); i++) {
		struct bytes value = {equals + 1, pair.n - n - 1};
		if (!bytes_equal(name, bytes_of(known[i].name)))
			continue;
		if (known[i].dst[0])
			return error_set(err, EC_EINVAL, "storage: s3://: %s is there twice",
					 known[i].name);
		if (value.n == 0 || parse_percent(value, false, known[i].dst, VALUE_BYTES) < 0 ||
		    !known[i].dst[0])
			return error_set(err, EC_EINVAL, "storage: s3://: %s has no good value",
					 known[i].name);
		return 0;
	}
	return error_set(err, EC_EINVAL,
			 "storage: s3://: unknown parameter \"%.*s\"; there are region, endpoint, "
			 "style, stall, plaintext",
			 (int)(n < 40 ? n : 40), pair.n > 0 ? (const char *)pair.p : "");
}

static int take_query(struct given *g, const char *query, struct error *err)
{
	memset(g, 0, sizeof(*g));
	while (*query) {
		size_t n = strcspn(query, "&");
		int r = take_parameter(g, (struct bytes){(const uint8_t *)query, n}, err);
		if (r < 0)
			return r;
		query += n;
		if (*query == '&')
			query++;
	}
	return 0;
}

/* The port at the end of host[:port]: checked, and taken away when it is the scheme's own. */
static bool port_good(char *host, bool tls)
{
	char *colon = strrchr(host, ':');
	uint64_t port = 0;

	if (!colon || strchr(colon, ']')) /* the colons of an IPv6 address */
		return true;
	if (parse_u64(bytes_of(colon + 1), 1, 65535, &port) < 0)
		return false;
	if (port == (tls ? 443 : 80))
		*colon = '\0';
	return true;
}

static int take_endpoint(struct s3_place *p, const char *text, char host[S3_HOST_MAX + 1],
			 struct error *err)
{
	const char *rest = NULL;

	if (strncmp(text, "https://", 8) == 0) {
		p->tls = true;
		rest = text + 8;
	} else if (strncmp(text, "http://", 7) == 0) {
		p->tls = false;
		rest = text + 7;
	}
	size_t n = rest ? strlen(rest) : 0;
	if (n > 0 && rest[n - 1] == '/')
		n--;
	/* No user, path or query: neither a credential nor another place than the one that is read. */
	if (n == 0 || n > S3_HOST_MAX)
		n = 0;
	(void)snprintf(host, S3_HOST_MAX + 1, "%.*s", (int)n, rest ? rest : "");
	bool literal = host[0] == '[';
	if (n == 0 ||
	    !only(host, literal ? LOWER UPPER DIGITS ":.[]" : LOWER UPPER DIGITS ".-_:") ||
	    (literal && !strchr(host, ']')) || host[0] == ':' || !port_good(host, p->tls))
		return error_set(
			err, EC_EINVAL,
			"storage: s3://: endpoint must be https://host[:port], without user, path "
			"and query");
	return 0;
}

static int take_values(struct s3_place *p, const struct given *g, struct error *err)
{
	char host[S3_HOST_MAX + 1];
	uint64_t stall_ms = (uint64_t)S3_STALL_S_DEFAULT * STALL_MS_PER_S;
	const char *region = g->region[0] ? g->region : "us-east-1";
	bool aws = !g->endpoint[0];

	if (strlen(region) > S3_REGION_MAX || !only(region, LOWER UPPER DIGITS "-_"))
		return error_set(err, EC_EINVAL,
				 "storage: s3://: region has letters, digits, '-', %d at most",
				 S3_REGION_MAX);
	memcpy(p->region, region, strlen(region) + 1);
	p->tls = true;
	if (aws)
		(void)snprintf(host, sizeof(host), "s3.%s.amazonaws.com%s", p->region,
			       strncmp(p->region, "cn-", 3) == 0 ? ".cn" : "");
	else if (take_endpoint(p, g->endpoint, host, err) < 0)
		return EC_EINVAL;
	if (g->plaintext[0] && strcmp(g->plaintext, "yes") != 0)
		return error_set(err, EC_EINVAL, "storage: s3://: plaintext is yes or absent");
	if (!p->tls && !g->plaintext[0])
		return error_set(
			err, EC_EINVAL,
			"storage: s3://: an http:// endpoint shows all captures to whoever "
			"listens: add plaintext=yes to allow that, or use https://");
	if (g->style[0] && strcmp(g->style, "path") != 0 && strcmp(g->style, "virtual") != 0)
		return error_set(err, EC_EINVAL, "storage: s3://: style is path or virtual");
	if (g->stall[0] &&
	    (parse_duration_ms(bytes_of(g->stall), STALL_MS_PER_S,
			       (uint64_t)S3_STALL_S_MAX * STALL_MS_PER_S, &stall_ms) < 0))
		return error_set(err, EC_EINVAL, "storage: s3://: stall is 1s to %ds",
				 S3_STALL_S_MAX);
	p->stall_s = (uint32_t)(stall_ms / STALL_MS_PER_S);
	p->virtual_host = g->style[0] ? g->style[0] == 'v' : aws && !strchr(p->bucket, '.');
	(void)snprintf(p->host, sizeof(p->host), "%s%s%s", p->virtual_host ? p->bucket : "",
		       p->virtual_host ? "." : "", host);
	return 0;
}

int s3_place_parse(const char *rest, struct s3_place *ret, struct error *err)
{
	struct given given;
	struct s3_place p = {.stall_s = 0};
	size_t path = strcspn(rest, "?");
	size_t bucket = strcspn(rest, "/?");

	if (strchr(rest, '#'))
		return error_set(err, EC_EINVAL, "storage: s3://: no fragment");
	int r = take_bucket(&p, (struct bytes){(const uint8_t *)rest, bucket}, err);
	if (r == 0 && path > bucket)
		r = take_prefix(
			&p, (struct bytes){(const uint8_t *)rest + bucket + 1, path - bucket - 1},
			err);
	if (r == 0)
		r = take_query(&given, rest[path] ? rest + path + 1 : "", err);
	if (r == 0)
		r = take_values(&p, &given, err);
	if (r == 0)
		*ret = p;
	return r;
}

void s3_place_path(const struct s3_place *place, const char *key, char *dst)
{
	const char *bucket = place->virtual_host ? "" : place->bucket;
	int n = 0;

	if (key)
		n = snprintf(dst, S3_PATH_MAX + 1, "%s%s/%s%s", *bucket ? "/" : "", bucket,
			     place->prefix, key);
	else
		n = snprintf(dst, S3_PATH_MAX + 1, "/%s", bucket);
	EC_ASSERT(n > 0 && n <= S3_PATH_MAX);
}
