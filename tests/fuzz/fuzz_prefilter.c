/* A packet, and jobs that are made to look like it: what the kernel's program rejects, the classifier finds no job for, and the
 * classifier agrees with the definition.
 *
 * Byte 0: link type, level and whether the outer tag is metadata; byte 1: number of jobs, 0..7; 4 bytes for each; the rest is the packet.
 */
#include <stdlib.h>
#include <string.h>

#include "packet/flow.h"
#include "sampler/classifier.h"
#include "sampler/prefilter.h"
#include "tests/support/bpf_interpreter.h"

enum { JOBS_MAX = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static struct prefix prefix_near(const struct address *a, uint8_t len, uint8_t flip)
{
	struct prefix p = {.addr = *a,
			   .len = (uint8_t)(len % (a->family == ADDRESS_V4 ? 33 : 129))};

	p.addr.b[flip % 4] = (uint8_t)(p.addr.b[flip % 4] ^ (flip & 0x10u));
	for (unsigned bit = p.len; bit < 128; bit++)
		p.addr.b[bit / 8] = (uint8_t)(p.addr.b[bit / 8] & ~(0x80u >> bit % 8));
	return p;
}

/* A filter near the flow: some of its fields, some of them a little off. */
static struct filter filter_near(const struct flow *f, const uint8_t d[4])
{
	struct filter r = {.fields = d[0] & 31};

	if (r.fields & FILTER_SOURCE_ADDRESS)
		r.source = prefix_near(&f->source, d[1], d[3]);
	if (r.fields & FILTER_DESTINATION_ADDRESS)
		r.destination = prefix_near(&f->destination, d[2], d[3]);
	if (r.fields & FILTER_SOURCE_PORT)
		r.source_port = (uint16_t)(f->source_port ^ (d[3] & 1u));
	if (r.fields & FILTER_DESTINATION_PORT)
		r.destination_port = (uint16_t)(f->destination_port ^ (d[3] >> 1 & 1));
	if (r.fields & FILTER_PROTOCOL)
		r.protocol = (uint8_t)(f->protocol ^ (d[3] >> 2 & 1));
	return r;
}

/* A scope of one prefix at one end of the flow, or everything. */
static struct scope scope_near(const struct flow *f, const uint8_t d[4], struct prefix *room)
{
	*room = prefix_near(d[0] & 64 ? &f->source : &f->destination, d[2], d[1]);
	return (struct scope){.unrestricted = d[0] & 32, .count = 1, .prefixes = room};
}

/* The packet as the kernel's program sees it. */
static struct bpf_packet kernel_view(uint32_t link_type, struct bytes packet, bool metadata,
				     uint8_t *room)
{
	size_t at = link_type == LINK_ETHERNET ? 12 : link_type == LINK_LINUX_SLL ? 14 : 0;
	size_t hidden = link_type == LINK_LINUX_SLL ? 16 : 0;
	uint16_t type = 0;

	memcpy(room, packet.p, packet.n);
	if (at && packet.n >= at + 2)
		type = (uint16_t)(room[at] << 8 | room[at + 1]);
	if (metadata && packet.n >= at + 6 &&
	    (type == 0x8100 || type == 0x88a8 || type == 0x9100)) {
		memmove(room + at, room + at + 4, packet.n - at - 4);
		packet.n -= 4;
		type = (uint16_t)(room[at] << 8 | room[at + 1]);
	}
	if (hidden > packet.n)
		hidden = packet.n;
	return (struct bpf_packet){.data = {room + hidden, packet.n - hidden}, .protocol = type};
}

/* Does the classifier find the rule exactly when the definition says so? */
static bool verdict(const struct filter *filter, const struct scope *scope, const struct flow *f)
{
	struct classifier *c = calloc(1, sizeof(*c));
	struct classifier_table *table = classifier_table_new(4);
	struct classifier_rule rule;

	EC_ASSERT(c && table && classifier_rule_init(&rule, filter, scope, NULL) == 0);
	classifier_init(c, table, 1);
	classifier_insert(c, &rule);
	bool found = classifier_match(c, f) != NULL;
	EC_ASSERT(found == (filter_match(filter, f) && filter_in_scope(scope, f)));
	classifier_fini(c);
	classifier_rule_fini(&rule);
	free(c);
	return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const uint32_t links[] = {LINK_ETHERNET, LINK_RAW, LINK_LINUX_SLL};
	static const enum prefilter_view views[] = {PREFILTER_VIEW_ETHERNET, PREFILTER_VIEW_RAW,
						    PREFILTER_VIEW_COOKED};
	struct filter filters[JOBS_MAX];
	struct scope scopes[JOBS_MAX];
	struct prefix prefixes[JOBS_MAX];
	struct prefilter_job jobs[JOBS_MAX];
	struct flow f;

	if (n < 2 || n < 2 + 4 * (size_t)(p[1] % JOBS_MAX))
		return 0;
	size_t link = p[0] % 3, count = p[1] % JOBS_MAX;
	struct bytes packet = {p + 2 + 4 * count, n - 2 - 4 * count};
	if (flow_parse(links[link], packet, &f) < 0)
		return 0;
	bool wanted = false;
	for (size_t i = 0; i < count; i++) {
		filters[i] = filter_near(&f, p + 2 + 4 * i);
		scopes[i] = scope_near(&f, p + 2 + 4 * i, &prefixes[i]);
		jobs[i] = (struct prefilter_job){&filters[i], &scopes[i], 160};
		wanted |= verdict(&filters[i], &scopes[i], &f);
	}
	struct prefilter_input in = {views[link], DIRECTION_IN,    jobs,
				     count,       (p[0] >> 2) % 5, BPF_CODE_MAX};
	struct prefilter *program = malloc(sizeof(*program));
	uint8_t *room = malloc(packet.n + 1);
	EC_ASSERT(program && room);
	prefilter_build(&in, program);
	struct bpf_packet seen = kernel_view(links[link], packet, p[0] & 128, room);
	EC_ASSERT(!wanted || bpf_run(prefilter_program(program), &seen) >= FLOW_BYTES_MAX);
	free(room);
	free(program);
	return 0;
}
