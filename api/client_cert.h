/* What the proxy says of a sampler's client certificate, and whether that allows its request.
 *
 * The proxy ends TLS and checks the certificate against the operator's authority. It passes on two headers, always overwriting the
 * client's own: X-Client-Cert-Verify (NONE, SUCCESS or FAILED:reason) and X-Client-Cert-Subject (the subject, RFC 4514), nginx's
 * $ssl_client_verify and $ssl_client_s_dn. Its one common name must be the name of the sampler whose token the request
 * carries: a token that was stolen is of no use without the key of the certificate, and a certificate is good for one sampler. Pure.
 */
#pragma once

#include "api/errors.h"
#include "base/attr.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"

/* X(name, text) */
#define CLIENT_CERT_RULES(X)                                                                       \
	X(CLIENT_CERT_NONE, "none")         /* not looked at */                                    \
	X(CLIENT_CERT_OPTIONAL, "optional") /* whoever has one must have the right one */          \
	X(CLIENT_CERT_REQUIRED, "required")

enum client_cert_rule {
#define X(name, text) name,
	CLIENT_CERT_RULES(X)
#undef X
};

/* From its text. Returns 0, or EC_EINVAL with a text that shows what was seen. */
int client_cert_rule_parse(struct bytes text, enum client_cert_rule *ret,
			   struct error *err) EC_MUST_CHECK;

/* Read the common name of a subject (RFC 4514, as OpenSSL's XN_FLAG_RFC2253 writes it; escapes are undone). dst: n bytes, NUL-terminated;
 * untouched on failure. Returns 0, EC_EFORMAT (no such text), EC_ENOTFOUND (no common name, more than one, or an empty one) or
 * EC_ELIMIT (dst is too small, or there is a NUL in it). */
int client_cert_common_name(struct bytes subject, char *dst, size_t n) EC_MUST_CHECK;

/* The two headers: how often each occurs, and its value. */
struct client_cert_claim {
	size_t verify_count, subject_count;
	struct bytes verify, subject;
};

/* Why a request is refused. */
struct client_cert_fault {
	enum api_error row;
	const char *text;                /* static */
	char name[LIMIT_NAME_BYTES + 1]; /* the certificate's, when it could be read; else "" */
};

/* Judge a claim. name: the certificate must be its; NULL: any certificate will do. Returns 0, or EC_EPERM and *fault. A claim that
 * is missing or doubled is refused (API_MALFORMED): then the proxy is not the one that this is made for. */
int client_cert_check(enum client_cert_rule rule, const struct client_cert_claim *claim,
		      const char *name, struct client_cert_fault *fault) EC_MUST_CHECK;
