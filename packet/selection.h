/* Packet selection after the match: the PSAMP methods (RFC 5475), named and parameterised as in RFC 5476.
 *
 * Only names, parameters and their JSON and text forms live here; the selector itself is the sampler's.
 */
#pragma once

#include <cjson/cJSON.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/error.h"

/* X(name, text) */
#define SELECTION_METHODS(X)                                                                       \
	X(SELECT_NONE, "none") /* every packet */                                                  \
	X(SELECT_SYSTEMATIC_COUNT,                                                                 \
	  "systematic-count") /* RFC 5475 5.1: interval packets, then skip space */                \
	X(SELECT_UNIFORM_PROBABILISTIC, "uniform-probabilistic") /* RFC 5475 5.2.2.1 */            \
	X(SELECT_HASH, "hash") /* RFC 5475 6.2: hash-based filtering */

enum selection_method {
#define X(name, text) name,
	SELECTION_METHODS(X)
#undef X
};

/* A value type; members that the method does not use are 0. */
struct selection {
	enum selection_method method;
	uint32_t interval; /* samplingPacketInterval: consecutive packets selected, >= 1 */
	uint32_t space;    /* samplingPacketSpace: packets between them */
	uint32_t
		probability_ppb; /* samplingProbability and the hash range, parts per 10^9, 1..10^9 */
	uint8_t secret[16];      /* hash: the job's key, the same on all hosts */
};

/* Text of a method, static. */
const char *selection_method_text(enum selection_method m);

/* Parse a setting: "none", "systematic-count:INTERVAL/SPACE", "uniform-probabilistic:P" or "hash:P" with 0 < P <= 1
 * in decimal. The secret is left zero. Returns 0 or EC_EINVAL with a reason. */
int selection_parse(struct bytes text, struct selection *ret, struct error *err) EC_MUST_CHECK;

/* The text that selection_parse reads, without the secret: for files, answers and logs. dst: 64 bytes. */
void selection_format(const struct selection *s, char *dst);

/* Add method, parameters and (secret as hex, only for hash) to obj: the edge protocol's form. */
void selection_to_json(const struct selection *s, cJSON *obj);

/* The reverse. Returns 0, EC_EFORMAT or EC_ELIMIT with the member in err. */
int selection_from_json(const cJSON *obj, struct selection *ret, struct error *err) EC_MUST_CHECK;
