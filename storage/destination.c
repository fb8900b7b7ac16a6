#include "storage/destination.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "storage/store.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

enum { VALUE_BYTES = 512 };

/* A query's values as they were given; "" where absent. */
struct given {
	char region[VALUE_BYTES], endpoint[VALUE_BYTES], account_id[VALUE_BYTES],
		access_key_id[VALUE_BYTES], secret_access_key[VALUE_BYTES];
};

static const char *const scheme_texts[] = {
#define X(name, text) text,
	BUCKET_SCHEMES(X)
#undef X
};

int bucket_scheme_parse(const char *text, enum bucket_scheme *ret)
{
	static const enum bucket_scheme all[] = {
#define X(name, text) name,
		BUCKET_SCHEMES(X)
#undef X
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		if (strcmp(text, scheme_texts[i]) == 0) {
			*ret = all[i];
			return 0;
		}
	}
	return EC_EINVAL;
}

static bool only(const char *text, const char *set)
{
	return text[strspn(text, set)] == '\0';
}

static bool is_lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* "General purpose bucket naming rules" of S3; GCS has '_' as well, R2 no dots. */
static int take_bucket(struct destination *d, struct bytes text, struct error *err)
{
	static const char *const sets[] = {[BUCKET_S3] = LOWER DIGITS ".-",
					   [BUCKET_GS] = LOWER DIGITS ".-_",
					   [BUCKET_R2] = LOWER DIGITS "-"};
	struct in_addr v4;
	char *b = d->bucket;

	if (text.n < 3 || bytes_to_str(text, b, sizeof(d->bucket)) < 0 ||
	    !only(b, sets[d->scheme]) || !is_lower_or_digit(b[0]) ||
	    !is_lower_or_digit(b[text.n - 1]) || strstr(b, "..") || inet_pton(AF_INET, b, &v4) == 1)
		return error_set(
			err, EC_EINVAL,
			"the bucket's name has 3 to %d lower-case letters, digits, %s, begins and "
			"ends with a letter or digit, and is no IP address",
			DESTINATION_BUCKET_MAX,
			d->scheme == BUCKET_R2   ? "'-'"
			: d->scheme == BUCKET_GS ? "'.', '-', '_'"
						 : "'.', '-'");
	return 0;
}

static int take_dir(struct destination *d, struct bytes text, struct error *err)
{
	if (text.n > 0 && text.p[text.n - 1] == '/')
		text.n--;
	if (text.n == 0)
		return 0;
	if (!store_key_valid(text) || bytes_to_str(text, d->dir, sizeof(d->dir)) < 0)
		return error_set(
			err, EC_EINVAL,
			"the directory has segments of letters, digits, '.', '_', '-' that do not "
			"begin with '.', %d bytes at most",
			DESTINATION_DIR_MAX);
	return 0;
}

/* --- the query --- */

static int take_parameter(struct given *g, enum bucket_scheme scheme, struct bytes pair,
			  struct error *err)
{
	const struct {
		enum bucket_scheme scheme;
		const char *name;
		char *dst;
	} known[] = {{BUCKET_S3, "region", g->region},
		     {BUCKET_S3, "endpoint", g->endpoint},
		     {BUCKET_R2, "account-id", g->account_id},
		     {BUCKET_R2, "access-key-id", g->access_key_id},
		     {BUCKET_R2, "secret-access-key", g->secret_access_key}};
	static const char *const there[] = {
		[BUCKET_S3] = "region and endpoint",
		[BUCKET_GS] = "none",
		[BUCKET_R2] = "account-id, access-key-id and secret-access-key"};
	const uint8_t *equals = pair.n > 0 ? memchr(pair.p, '=', pair.n) : NULL;
	size_t n = equals ? (size_t)(equals - pair.p) : pair.n;

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		struct bytes value = {equals ? equals + 1 : NULL, equals ? pair.n - n - 1 : 0};
		if (known[i].scheme != scheme ||
		    !bytes_equal((struct bytes){pair.p, n}, bytes_of(known[i].name)))
			continue;
		if (known[i].dst[0])
			return error_set(err, EC_EINVAL, "%s is there twice", known[i].name);
		if (value.n == 0 || parse_percent(value, false, known[i].dst, VALUE_BYTES) < 0)
			return error_set(err, EC_EINVAL,
					 "%s has no value, or one that is too long or wrongly "
					 "percent-encoded",
					 known[i].name);
		return 0;
	}
	return error_set(err, EC_EINVAL, "unknown parameter; with %s:// there are: %s",
			 scheme_texts[scheme], there[scheme]);
}

static int take_query(struct given *g, enum bucket_scheme scheme, struct bytes query,
		      struct error *err)
{
	for (;;) {
		const uint8_t *amp = query.n > 0 ? memchr(query.p, '&', query.n) : NULL;
		size_t n = amp ? (size_t)(amp - query.p) : query.n;
		int r = take_parameter(g, scheme, (struct bytes){query.p, n}, err);
		if (r < 0 || !amp)
			return r;
		query = (struct bytes){amp + 1, query.n - n - 1};
	}
}

/* --- each scheme's own --- */

static int finish_s3(struct destination *d, const struct given *g, struct error *err)
{
	char aws[DESTINATION_ENDPOINT_MAX + 1];
	size_t n = strlen(g->region);

	if (n == 0)
		return error_set(err, EC_EINVAL, "region is missing: s3://bucket/dir?region=R");
	if (n > DESTINATION_REGION_MAX || !only(g->region, LOWER DIGITS "-") ||
	    !is_lower_or_digit(g->region[0]) || !is_lower_or_digit(g->region[n - 1]))
		return error_set(err, EC_EINVAL,
				 "region has 1 to %d lower-case letters, digits, '-'",
				 DESTINATION_REGION_MAX);
	memcpy(d->region, g->region, n + 1);
	(void)snprintf(aws, sizeof(aws), "https://s3.%s.amazonaws.com%s", d->region,
		       strncmp(d->region, "cn-", 3) == 0 ? ".cn" : "");
	if (endpoint_normalize(g->endpoint[0] ? g->endpoint : aws, d->endpoint, err) < 0)
		return error_prefix(err, "endpoint");
	bool other = strcmp(d->endpoint, aws) != 0;
	n = (size_t)snprintf(d->canonical, sizeof(d->canonical), "s3://%s%s%s?region=%s%s%s",
			     d->bucket, d->dir[0] ? "/" : "", d->dir, d->region,
			     other ? "&endpoint=" : "", other ? d->endpoint : "");
	EC_ASSERT(n < sizeof(d->canonical));
	return 0;
}

static int finish_gs(struct destination *d)
{
	(void)snprintf(d->endpoint, sizeof(d->endpoint), "https://storage.googleapis.com");
	(void)snprintf(d->canonical, sizeof(d->canonical), "gs://%s%s%s", d->bucket,
		       d->dir[0] ? "/" : "", d->dir);
	return 0;
}

static int finish_r2(struct destination *d, const struct given *g, struct error *err)
{
	const char *id = g->access_key_id, *secret = g->secret_access_key;

	if (strlen(g->account_id) != DESTINATION_ACCOUNT_ID_BYTES ||
	    !only(g->account_id, DIGITS "abcdef"))
		return error_set(err, EC_EINVAL, "account-id has %d lower-case hex characters",
				 DESTINATION_ACCOUNT_ID_BYTES);
	if (!id[0] != !secret[0])
		return error_set(err, EC_EINVAL,
				 "access-key-id and secret-access-key are given together");
	if (strlen(id) > DESTINATION_ACCESS_KEY_MAX || !only(id, LOWER UPPER DIGITS))
		return error_set(err, EC_EINVAL, "access-key-id has 1 to %d letters and digits",
				 DESTINATION_ACCESS_KEY_MAX);
	if (strlen(secret) > DESTINATION_SECRET_KEY_MAX ||
	    !only(secret, LOWER UPPER DIGITS "+/=_-."))
		return error_set(err, EC_EINVAL,
				 "secret-access-key has 1 to %d letters, digits, '+', '/', '=', "
				 "'_', '-', '.'",
				 DESTINATION_SECRET_KEY_MAX);
	memcpy(d->account_id, g->account_id, sizeof(d->account_id));
	memcpy(d->access_key_id, id, strlen(id) + 1);
	memcpy(d->secret_access_key, secret, strlen(secret) + 1);
	(void)snprintf(d->endpoint, sizeof(d->endpoint), "https://%s.r2.cloudflarestorage.com",
		       d->account_id);
	(void)snprintf(d->canonical, sizeof(d->canonical), "r2://%s%s%s?account-id=%s", d->bucket,
		       d->dir[0] ? "/" : "", d->dir, d->account_id);
	return 0;
}

static int finish(struct destination *d, const struct given *g, struct error *err)
{
	switch (d->scheme) {
	case BUCKET_S3:
		return finish_s3(d, g, err);
	case BUCKET_GS:
		return finish_gs(d);
	case BUCKET_R2:
		return finish_r2(d, g, err);
	}
	return EC_EINTERNAL;
}

/* --- the whole --- */

/* Nothing but visible ASCII, no fragment, no backslash: what other parsers disagree about. */
static int check_bytes(struct bytes text, struct error *err)
{
	if (text.n == 0)
		return error_set(err, EC_EINVAL, "it is empty");
	if (text.n > DESTINATION_BYTES_MAX)
		return error_set(err, EC_EINVAL, "it is longer than %d bytes",
				 DESTINATION_BYTES_MAX);
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] <= ' ' || text.p[i] > '~' || text.p[i] == '#' || text.p[i] == '\\')
			return error_set(err, EC_EINVAL,
					 "it has no spaces, control characters, '#', '\\' and "
					 "nothing but ASCII");
	}
	return 0;
}

static int take_scheme(struct destination *d, struct bytes *text, struct error *err)
{
	enum { AFTER = 5 }; /* "s3://" */
	char scheme[3] = "";

	if (text->n >= AFTER && memcmp(text->p + 2, "://", 3) == 0)
		memcpy(scheme, text->p, 2);
	if (bucket_scheme_parse(scheme, &d->scheme) < 0)
		return error_set(err, EC_EINVAL, "it begins with s3://, gs:// or r2://");
	*text = (struct bytes){text->p + AFTER, text->n - AFTER};
	return 0;
}

static size_t find(struct bytes text, int c)
{
	const uint8_t *at = text.n > 0 ? memchr(text.p, c, text.n) : NULL;

	return at ? (size_t)(at - text.p) : text.n;
}

/* text: behind the scheme. */
static int take_rest(struct destination *d, struct given *g, struct bytes text, struct error *err)
{
	size_t path = find(text, '?');
	size_t bucket = find((struct bytes){text.p, path}, '/');
	int r = take_bucket(d, (struct bytes){text.p, bucket}, err);

	if (r == 0 && path > bucket)
		r = take_dir(d, (struct bytes){text.p + bucket + 1, path - bucket - 1}, err);
	if (r == 0 && path < text.n)
		r = take_query(g, d->scheme, (struct bytes){text.p + path + 1, text.n - path - 1},
			       err);
	return r == 0 ? finish(d, g, err) : r;
}

int destination_parse(struct bytes text, struct destination *ret, struct error *err)
{
	struct destination d;
	struct given given;

	memset(&d, 0, sizeof(d));
	memset(&given, 0, sizeof(given));
	int r = check_bytes(text, err);
	if (r == 0)
		r = take_scheme(&d, &text, err);
	if (r == 0)
		r = take_rest(&d, &given, text, err);
	if (r == 0)
		*ret = d;
	destination_wipe(&d);
	explicit_bzero(&given, sizeof(given));
	return r;
}

void destination_wipe(struct destination *d)
{
	explicit_bzero(d->access_key_id, sizeof(d->access_key_id));
	explicit_bzero(d->secret_access_key, sizeof(d->secret_access_key));
}
