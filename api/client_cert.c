#include "api/client_cert.h"

#include <string.h>
#include <strings.h>

int client_cert_rule_parse(struct bytes text, enum client_cert_rule *ret, struct error *err)
{
#define X(name, word)                                                                              \
	if (bytes_equal(text, bytes_of(word))) {                                                   \
		*ret = name;                                                                       \
		return 0;                                                                          \
	}
	CLIENT_CERT_RULES(X)
#undef X
	return error_set(err, EC_EINVAL, "must be none, optional or required, not \"%.*s\"",
			 (int)text.n, (const char *)text.p);
}

static int hex_of(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One character behind a backslash: itself, or a byte in two hex digits. Returns 0 or EC_EFORMAT. */
static int read_escape(struct bytes *in, char *ret)
{
	static const char special[] = " \"#+,;<=>\\";

	if (in->n >= 1 && in->p[0] != 0 && strchr(special, in->p[0])) {
		*ret = (char)in->p[0];
		*in = (struct bytes){in->p + 1, in->n - 1};
		return 0;
	}
	if (in->n < 2 || hex_of(in->p[0]) < 0 || hex_of(in->p[1]) < 0)
		return EC_EFORMAT;
	*ret = (char)(hex_of(in->p[0]) << 4 | hex_of(in->p[1]));
	*in = (struct bytes){in->p + 2, in->n - 2};
	return 0;
}

/* A value up to ',' or '+' or the end; what does not fit into n bytes is EC_ELIMIT. */
static int read_value(struct bytes *in, char *dst, size_t n)
{
	size_t at = 0;
	int limit = 0;

	while (in->n > 0 && in->p[0] != ',' && in->p[0] != '+') {
		char c = (char)in->p[0];
		*in = (struct bytes){in->p + 1, in->n - 1};
		if (c == '\\' && read_escape(in, &c) < 0)
			return EC_EFORMAT;
		if (c == '\0' || at + 1 >= n)
			limit = EC_ELIMIT;
		else
			dst[at++] = c;
	}
	dst[at] = '\0';
	return limit;
}

int client_cert_common_name(struct bytes subject, char *dst, size_t n)
{
	char value[LIMIT_NAME_BYTES + 1], name[LIMIT_NAME_BYTES + 1] = "";
	struct bytes in = subject;
	int found = 0, limit = 0;

	while (in.n > 0) {
		const uint8_t *equals = memchr(in.p, '=', in.n);
		if (!equals)
			return EC_EFORMAT;
		struct bytes type = {in.p, (size_t)(equals - in.p)};
		in = (struct bytes){equals + 1, in.n - type.n - 1};
		int r = read_value(&in, value, sizeof(value));
		if (r == EC_EFORMAT || type.n == 0)
			return EC_EFORMAT;
		if (type.n == 2 && strncasecmp((const char *)type.p, "CN", 2) == 0) {
			found++;
			limit = r;
			memcpy(name, value, sizeof(name));
		}
		if (in.n == 1) /* a separator with nothing behind it */
			return EC_EFORMAT;
		if (in.n > 0)
			in = (struct bytes){in.p + 1, in.n - 1};
	}
	if (found != 1 || (limit == 0 && name[0] == '\0'))
		return EC_ENOTFOUND;
	if (limit < 0 || strlen(name) >= n)
		return EC_ELIMIT;
	memcpy(dst, name, strlen(name) + 1);
	return 0;
}

static int refuse(struct client_cert_fault *fault, enum api_error row, const char *text)
{
	fault->row = row;
	fault->text = text;
	return EC_EPERM;
}

int client_cert_check(enum client_cert_rule rule, const struct client_cert_claim *claim,
		      const char *name, struct client_cert_fault *fault)
{
	fault->name[0] = '\0';
	if (rule == CLIENT_CERT_NONE)
		return 0;
	if (claim->verify_count != 1 || claim->subject_count > 1)
		return refuse(fault, API_MALFORMED,
			      "X-Client-Cert-Verify is missing or doubled: this listener is for a "
			      "proxy that "
			      "checks client certificates");
	if (bytes_equal(claim->verify, bytes_of("NONE"))) {
		if (rule == CLIENT_CERT_OPTIONAL)
			return 0;
		return refuse(fault, API_UNAUTHENTICATED, "A client certificate is required");
	}
	if (!bytes_equal(claim->verify, bytes_of("SUCCESS")))
		return refuse(fault, API_UNAUTHENTICATED, "The client certificate is not valid");
	if (!name)
		return 0;
	if (claim->subject_count != 1 ||
	    client_cert_common_name(claim->subject, fault->name, sizeof(fault->name)) < 0)
		return refuse(fault, API_FORBIDDEN,
			      "The client certificate has not exactly one common name");
	if (strcmp(fault->name, name) != 0)
		return refuse(
			fault, API_FORBIDDEN,
			"The client certificate is another sampler's: its common name is not this "
			"sampler's name");
	return 0;
}
