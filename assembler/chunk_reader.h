/* The packets of one chunk, one after the other, through a window of bounded size.
 *
 * A chunk comes from an edge host and is judged, not trusted: anything but one section with one
 * interface of a known link type and packets in time order ends it with EC_EFORMAT and a reason that
 * a tenant may read; what was read before counts. The store is only touched to fill the window, with
 * no handle kept in between, so any number of chunks can be open. Blocks on the store (chunk_window.h).
 */
#pragma once

#include <stdint.h>

#include "assembler/chunk_window.h"
#include "base/attr.h"
#include "packet/pcapng.h"

enum {
	CHUNK_WINDOW_BYTES = 64 * 1024,   /* grows when a block needs more */
	CHUNK_BUDGET_BYTES = 4096 * 1024, /* windows of one part */
	CHUNK_INTERFACE_NAME_BYTES = 129, /* longer names are cut */
};

struct chunk_reader;

/* Ask for the first window (chunk_window_new) without waiting for it. Returns 0 and *ret (free with chunk_reader_free), EC_EFORMAT (size) or EC_ENOMEM. */
int chunk_reader_new(const struct chunk_source *source, struct chunk_reader **ret,
		     struct error *err) EC_MUST_CHECK;

/* Free; accepts NULL. */
void chunk_reader_free(struct chunk_reader *r);

/* The next packet; its data is borrowed until the next call. Returns 0; EC_EEND at the end of the
 * chunk; EC_EFORMAT when the rest cannot be used; or the store's error. After any but 0 the reader can
 * only be freed. */
int chunk_reader_next(struct chunk_reader *r, struct pcapng_packet *ret,
		      struct error *err) EC_MUST_CHECK;

/* The interface: known once chunk_reader_next has returned 0 or EC_EEND. */
struct chunk_interface {
	bool known; /* false: the chunk ended before it had one */
	uint16_t link_type;
	char name[CHUNK_INTERFACE_NAME_BYTES]; /* UTF-8, may be "" */
};

/* What was found; borrowed from r. */
const struct chunk_interface *chunk_reader_interface(const struct chunk_reader *r);
