#include "packet/selection.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/parse.h"

enum { PPB_ONE = 1000000000, PPB_DIGITS = 9, SELECTION_TEXT_BYTES = 64 };

const char *selection_method_text(enum selection_method m)
{
	switch (m) {
#define X(name, text)                                                                              \
	case name:                                                                                 \
		return text;
		SELECTION_METHODS(X)
#undef X
	}
	ec_assert_failed("a selection method", __FILE__, __LINE__);
}

static int method_parse(struct bytes text, enum selection_method *ret)
{
#define X(name, word)                                                                              \
	if (bytes_equal(text, bytes_of(word))) {                                                   \
		*ret = name;                                                                       \
		return 0;                                                                          \
	}
	SELECTION_METHODS(X)
#undef X
	return EC_EFORMAT;
}

/* Split text at the first sep; *ret_rest is empty (p NULL) without one. */
static struct bytes split_at(struct bytes text, char sep, struct bytes *ret_rest)
{
	const uint8_t *at = text.n ? memchr(text.p, sep, text.n) : NULL;
	*ret_rest = (struct bytes){NULL, 0};
	if (!at)
		return text;
	size_t n = (size_t)(at - text.p);
	*ret_rest = (struct bytes){at + 1, text.n - n - 1};
	return (struct bytes){text.p, n};
}

/* INTERVAL/SPACE */
static int count_parse(struct bytes text, struct selection *s, struct error *err)
{
	struct bytes space, interval = split_at(text, '/', &space);
	uint64_t a, b;
	if (parse_u64(interval, 1, UINT32_MAX, &a) < 0 || parse_u64(space, 0, UINT32_MAX, &b) < 0)
		return error_set(err, EC_EINVAL,
				 "systematic-count needs :INTERVAL/SPACE, with INTERVAL 1..%" PRIu32
				 " and SPACE 0..%" PRIu32 " packets",
				 UINT32_MAX, UINT32_MAX);
	s->interval = (uint32_t)a;
	s->space = (uint32_t)b;
	return 0;
}

/* A decimal 0 < P <= 1 with at most 9 decimals, as parts per 10^9. */
static int probability_parse(struct bytes text, uint32_t *ret)
{
	struct bytes decimals, whole = split_at(text, '.', &decimals);
	uint64_t one, ppb = 0;
	if (parse_u64(whole, 0, 1, &one) < 0)
		return EC_EFORMAT;
	if (decimals.n > PPB_DIGITS || (decimals.p && decimals.n == 0))
		return EC_EFORMAT;
	for (size_t i = 0; i < PPB_DIGITS; i++) {
		uint8_t c = i < decimals.n ? decimals.p[i] : '0';
		if (c < '0' || c > '9')
			return EC_EFORMAT;
		ppb = ppb * 10 + (uint64_t)(c - '0');
	}
	ppb += one * PPB_ONE;
	if (ppb < 1 || ppb > PPB_ONE)
		return EC_ELIMIT;
	*ret = (uint32_t)ppb;
	return 0;
}

int selection_parse(struct bytes text, struct selection *ret, struct error *err)
{
	struct selection s = {0};
	struct bytes parameter, word = split_at(text, ':', &parameter);
	int rc = 0;
	if (method_parse(word, &s.method) < 0)
		return error_set(err, EC_EINVAL,
				 "must be none, systematic-count:INTERVAL/SPACE, "
				 "uniform-probabilistic:P or hash:P, got \"%.*s\"",
				 (int)(text.n < 64 ? text.n : 64), (const char *)text.p);
	switch (s.method) {
	case SELECT_NONE:
		if (parameter.p)
			rc = error_set(err, EC_EINVAL, "none takes no parameter");
		break;
	case SELECT_SYSTEMATIC_COUNT:
		rc = count_parse(parameter, &s, err);
		break;
	case SELECT_UNIFORM_PROBABILISTIC:
	case SELECT_HASH:
		if (probability_parse(parameter, &s.probability_ppb) < 0)
			rc = error_set(err, EC_EINVAL,
				       "%s needs :P, a decimal number with 0 < P <= 1 and at most "
				       "%d decimals",
				       selection_method_text(s.method), PPB_DIGITS);
		break;
	}
	if (rc == 0)
		*ret = s;
	return rc;
}

static void probability_format(uint32_t ppb, char *dst, size_t cap)
{
	int n = snprintf(dst, cap, "%" PRIu32 ".%09" PRIu32, ppb / PPB_ONE, ppb % PPB_ONE);
	while (dst[n - 1] == '0')
		dst[--n] = '\0';
	if (dst[n - 1] == '.')
		dst[--n] = '\0';
}

void selection_format(const struct selection *s, char *dst)
{
	const char *method = selection_method_text(s->method);
	char p[24];
	switch (s->method) {
	case SELECT_NONE:
		(void)snprintf(dst, SELECTION_TEXT_BYTES, "%s", method);
		break;
	case SELECT_SYSTEMATIC_COUNT:
		(void)snprintf(dst, SELECTION_TEXT_BYTES, "%s:%" PRIu32 "/%" PRIu32, method,
			       s->interval, s->space);
		break;
	case SELECT_UNIFORM_PROBABILISTIC:
	case SELECT_HASH:
		probability_format(s->probability_ppb, p, sizeof(p));
		(void)snprintf(dst, SELECTION_TEXT_BYTES, "%s:%s", method, p);
		break;
	}
}

void selection_to_json(const struct selection *s, cJSON *obj)
{
	char secret[2 * sizeof(s->secret) + 1];
	json_add_str(obj, "method", selection_method_text(s->method));
	switch (s->method) {
	case SELECT_NONE:
		break;
	case SELECT_SYSTEMATIC_COUNT:
		json_add_int(obj, "interval", s->interval);
		json_add_int(obj, "space", s->space);
		break;
	case SELECT_UNIFORM_PROBABILISTIC:
		json_add_int(obj, "probability_ppb", s->probability_ppb);
		break;
	case SELECT_HASH:
		json_add_int(obj, "probability_ppb", s->probability_ppb);
		format_hex(s->secret, sizeof(s->secret), secret);
		json_add_str(obj, "secret", secret);
		break;
	}
}

static int count_from_json(const cJSON *obj, struct selection *s, struct error *err)
{
	int64_t interval = 0, space = 0;
	int rc = json_get_int(obj, "interval", 1, UINT32_MAX, &interval, err);
	if (rc == 0)
		rc = json_get_int(obj, "space", 0, UINT32_MAX, &space, err);
	if (rc < 0)
		return rc;
	s->interval = (uint32_t)interval;
	s->space = (uint32_t)space;
	return 0;
}

static int probability_from_json(const cJSON *obj, struct selection *s, struct error *err)
{
	int64_t ppb = 0;
	int rc = json_get_int(obj, "probability_ppb", 1, PPB_ONE, &ppb, err);
	if (rc < 0)
		return rc;
	s->probability_ppb = (uint32_t)ppb;
	return 0;
}

static int secret_from_json(const cJSON *obj, struct selection *s, struct error *err)
{
	const char *hex;
	int rc = json_get_str(obj, "secret", 2 * sizeof(s->secret), &hex, err);
	if (rc < 0)
		return rc;
	if (parse_hex(bytes_of(hex), s->secret, sizeof(s->secret)) < 0)
		return error_set(err, EC_EFORMAT, "secret is not %zu hex digits",
				 2 * sizeof(s->secret));
	return 0;
}

int selection_from_json(const cJSON *obj, struct selection *ret, struct error *err)
{
	struct selection s = {0};
	const char *method;
	int rc = json_get_str(obj, "method", SELECTION_TEXT_BYTES, &method, err);
	if (rc == 0 && method_parse(bytes_of(method), &s.method) < 0)
		rc = error_set(err, EC_EFORMAT, "method \"%.40s\" is not known", method);
	if (rc == 0) {
		switch (s.method) {
		case SELECT_NONE:
			break;
		case SELECT_SYSTEMATIC_COUNT:
			rc = count_from_json(obj, &s, err);
			break;
		case SELECT_UNIFORM_PROBABILISTIC:
			rc = probability_from_json(obj, &s, err);
			break;
		case SELECT_HASH:
			rc = probability_from_json(obj, &s, err);
			if (rc == 0)
				rc = secret_from_json(obj, &s, err);
			break;
		}
	}
	if (rc == EC_ENOTFOUND)
		rc = error_set(err, EC_EFORMAT, "a member of the selection is missing");
	if (rc == 0)
		*ret = s;
	return rc;
}
