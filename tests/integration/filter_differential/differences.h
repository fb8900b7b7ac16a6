/* Where filter_match and libpcap differ: named classes, each a predicate on the packet, and their counts.
 *
 * A class says which way the verdicts differ and why; docs/filter-differences.md explains each. There is no class
 * for "the rest": what no predicate explains fails the test.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "packet/filter.h"
#include "tests/integration/filter_differential/captures.h"

struct differences;

/* How libpcap was asked: in its own words, with protochain among them (expression.h), or by loads (exact_expression.h). */
enum form { FORM_WORDS, FORM_CHAIN, FORM_LOADS, FORM_COUNT };

/* No differences yet; exits without memory. packet_count: how many packets there are. */
struct differences *differences_new(size_t packet_count);

/* Free; accepts NULL. */
void differences_free(struct differences *d);

/* Count a difference in the first class that explains it. index: number of the packet; ours: filter_match's verdict.
 * Returns false when no class of this form does. */
bool differences_add(struct differences *d, enum form form, size_t index, const struct captured *p,
		     const struct filter *f, bool ours);

/* Print the table of classes. */
void differences_print(const struct differences *d);

/* How many names of classes a text does not have; prints them. */
size_t differences_undocumented(const char *text);
