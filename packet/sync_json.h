/* Members of a sync message, read with a sticky error, and texts made fit to be sent.
 *
 * Internal to packet/. A getter after the first failure does nothing and gives 0, NULL or an empty value, so that a
 * structure is read in one run and sync_reader.rc is checked at its end. A missing member is EC_EFORMAT.
 */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/id.h"

struct sync_reader {
	struct arena *arena;
	struct error *err; /* may be NULL */
	int rc;            /* 0 or the first failure */
};

/* Parse a message and check its size and version. Returns the tree (the caller deletes it), NULL with r->rc set. */
cJSON *sync_open(struct sync_reader *r, struct bytes text) EC_MUST_CHECK;

/* An integer member in min..max, both within 0..2^53. */
uint64_t sync_get_u64(struct sync_reader *r, const cJSON *obj, const char *name, uint64_t min,
		      uint64_t max);

/* An integer member in min..max. */
uint32_t sync_get_u32(struct sync_reader *r, const cJSON *obj, const char *name, uint32_t min,
		      uint32_t max);

/* A time member, microseconds since 1970, 0..2^53. */
int64_t sync_get_time(struct sync_reader *r, const cJSON *obj, const char *name);

/* A member that is true or false. */
bool sync_get_bool(struct sync_reader *r, const cJSON *obj, const char *name);

/* An id member. */
struct id sync_get_id(struct sync_reader *r, const cJSON *obj, const char *name);

/* A text member of 1..max_bytes, copied to the arena. optional: absent gives NULL. */
const char *sync_get_text(struct sync_reader *r, const cJSON *obj, const char *name,
			  size_t max_bytes, bool optional);

/* A text member of 1..64 bytes, borrowed from the tree; "" when absent and optional, or after a failure. */
const char *sync_get_word(struct sync_reader *r, const cJSON *obj, const char *name, bool optional);

/* An object member, borrowed from the tree. */
const cJSON *sync_get_object(struct sync_reader *r, const cJSON *obj, const char *name);

/* An array member of at most max elements. Returns its first element (NULL when empty) and *ret_count. */
const cJSON *sync_get_list(struct sync_reader *r, const cJSON *obj, const char *name, size_t max,
			   size_t *ret_count);

/* count zeroed elements of size bytes in the arena; NULL (and EC_ENOMEM) without memory, and for count 0. */
void *sync_new(struct sync_reader *r, size_t count, size_t size);

/* Note a failure, unless there is one already. code: negative. */
void sync_fail(struct sync_reader *r, int code, const char *fmt, ...) EC_PRINTF(3, 4);

/* Put the place in front of the text when reading failed: "/parts/3: /state is missing". */
void sync_at(struct sync_reader *r, const char *list, size_t index);

/* Keys of parts: every (account, pcap) at most once, else EC_EFORMAT. keys: count of them, reordered. */
struct sync_part_key {
	struct id account;
	struct id pcap;
};

/* Fail with EC_EFORMAT when two of count keys are equal. keys: sorted in place. */
void sync_check_unique(struct sync_reader *r, struct sync_part_key *keys, size_t count);

/* Add a text member: repaired to UTF-8, cut between characters at max_bytes. text: not empty (asserted). */
void sync_add_text(cJSON *obj, const char *name, const char *text, size_t max_bytes);

/* Add a number, capped at 2^53. */
void sync_add_u64(cJSON *obj, const char *name, uint64_t v);

/* Print the tree and append it to out. Returns 0, EC_ENOMEM or EC_ELIMIT (longer than LIMIT_SYNC_BYTES). */
int sync_close(const cJSON *tree, struct buf *out) EC_MUST_CHECK;
