/* Fair shares of a memory that jobs take from as they need: how much one of them may hold.
 *
 * What it is: the dynamic threshold of Choudhury and Hahne ("Dynamic Queue Length Thresholds for Shared-Memory Packet Switches",
 * IEEE/ACM Transactions on Networking 6(2), 1998): nobody may hold more than FAIR_SHARE_ALPHA times what is free. With k jobs that take all
 * they can get, each has ALPHA / (1 + ALPHA k) of the memory, and 1 / (1 + ALPHA k) stays free for those that come:
 * nothing is reserved for anybody, and one greedy job alone still has four fifths.
 * What it is not: it takes nothing back. Who held much when others came gets nothing more until it gave enough back.
 *
 * Pure; one rule for the chunk pool, the spool and the chunks held for uploads.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { FAIR_SHARE_ALPHA = 4 };

/* May somebody who holds held_bytes of a memory of limit_bytes, of which used_bytes are in use by all, take more_bytes? What fits is always given to
 * one who holds nothing. */
static inline bool fair_share_allows(uint64_t limit_bytes, uint64_t used_bytes, uint64_t held_bytes,
				     uint64_t more_bytes)
{
	if (used_bytes > limit_bytes || more_bytes > limit_bytes - used_bytes)
		return false;
	uint64_t free_bytes = limit_bytes - used_bytes - more_bytes;
	/* divided, not multiplied: a limit may be anything */
	return held_bytes == 0 || (held_bytes + more_bytes) / FAIR_SHARE_ALPHA <= free_bytes;
}
