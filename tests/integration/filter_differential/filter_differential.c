/* filter_match(flow_parse) against libpcap's compiled filters, on real captures.
 *
 * Usage: filter_differential CAPTURES DOCUMENTATION. EDGECAP_FILTERS: how many filters (3,000 by default);
 * EDGECAP_SEED repeats a run. Exits with 1 when a verdict differs and no class of differences.c explains it.
 */
#include <inttypes.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "packet/filter.h"
#include "tests/integration/filter_differential/anatomy.h"
#include "tests/integration/filter_differential/captures.h"
#include "tests/integration/filter_differential/differences.h"
#include "tests/integration/filter_differential/exact_expression.h"
#include "tests/integration/filter_differential/expression.h"
#include "tests/integration/filter_differential/random_filter.h"
#include "tests/integration/filter_differential/variants.h"
#include "tests/support/prng.h"

enum {
	FILTERS_DEFAULT = 3000,
	UNEXPLAINED_SHOWN = 10,
	SNAPLEN = 262144,
	EXPRESSION_BYTES = 1 << 20
};

static const uint32_t links[] = {LINK_ETHERNET, LINK_RAW, LINK_LINUX_SLL, LINK_LINUX_SLL2};

enum { LINK_COUNT = ARRAY_LEN(links) };

/* What is asked of a packet again and again. */
struct subject {
	struct flow flow;
	bool is_ip;
	bool use_chain; /* see chain_is_safe */
	uint8_t link;   /* index in links */
};

/* How libpcap is asked: in words, in words with protochain, by loads (for 0 tags and more). */
enum { ASK_WORDS, ASK_CHAIN, ASK_LOADS, ASK_COUNT = ASK_LOADS + FLOW_VLAN_MAX + 1 };

/* A filter compiled for each link type. */
struct programs {
	struct bpf_program code[ASK_COUNT][LINK_COUNT];
	bool has_chain;
};

struct run {
	struct captures captures;
	struct subject *subjects;
	struct differences *differences;
	pcap_t *pcaps[LINK_COUNT];
	uint64_t compared, matched, unexplained, filters_matched;
};

/* Two or more extension headers: ask `ip6 protochain` where the filter allows it. Never where it could come upon an AH,
 * or take something else for one: libpcap 1.10.3 forgets its place behind an AH, and may then loop for ever. It takes a
 * fragment header's reserved byte for a length, and walks on in the payload of a later fragment. */
static bool chain_is_safe(const struct anatomy *a)
{
	return a->extensions >= 2 && !a->authentication && !a->reserved && !a->later_fragment &&
	       !a->extension_cut;
}

static void subjects_init(struct run *run)
{
	struct captures *c = &run->captures;
	run->subjects = calloc(c->packet_count, sizeof(*run->subjects));
	if (!run->subjects)
		exit(2);
	for (size_t i = 0; i < c->packet_count; i++) {
		const struct captured *p = &c->packets[i];
		struct subject *s = &run->subjects[i];
		struct anatomy a;
		anatomy_of(p, &a);
		s->use_chain = chain_is_safe(&a);
		s->is_ip = flow_parse(p->link_type, p->data, &s->flow) == 0;
		for (uint8_t link = 0; link < LINK_COUNT; link++)
			s->link = links[link] == p->link_type ? link : s->link;
	}
}

/* The expression of a filter for a link type, in b. */
static const char *expression_of(struct buf *b, const struct filter *f, uint32_t link, int ask)
{
	buf_reset(b);
	if (ask >= ASK_LOADS)
		exact_expression_put(b, f, link, (unsigned)(ask - ASK_LOADS));
	else
		expression_put(b, f, link, ask == ASK_CHAIN);
	const char *text = buf_cstr(b);
	EC_ASSERT(text);
	return text;
}

static void compile_one(struct run *run, const struct filter *f, size_t link, int ask,
			struct bpf_program *ret)
{
	struct buf text;
	buf_init(&text, EXPRESSION_BYTES);
	const char *expression = expression_of(&text, f, links[link], ask);
	if (pcap_compile(run->pcaps[link], ret, expression, 1, PCAP_NETMASK_UNKNOWN) != 0) {
		printf("pcap_compile: %s\n%s\n", pcap_geterr(run->pcaps[link]), expression);
		exit(1);
	}
	buf_fini(&text);
}

/* One more than the last way that a link type needs. */
static int asks_end(size_t link)
{
	return ASK_LOADS + (int)exact_expression_count(links[link]);
}

static void compile(struct run *run, const struct filter *f, struct programs *ret)
{
	*ret = (struct programs){.has_chain = expression_can_chain(f)};
	for (int ask = 0; ask < ASK_COUNT; ask++) {
		for (size_t i = 0; i < LINK_COUNT; i++) {
			bool wanted = ask < ASK_LOADS ? ask == ASK_WORDS || ret->has_chain
						      : ask < asks_end(i);
			if (wanted)
				compile_one(run, f, i, ask, &ret->code[ask][i]);
		}
	}
}

static void programs_free(struct programs *p)
{
	for (int ask = 0; ask < ASK_COUNT; ask++) {
		for (size_t i = 0; i < LINK_COUNT; i++)
			pcap_freecode(&p->code[ask][i]);
	}
}

static void show(const struct run *run, size_t index, const struct filter *f, int ask, bool ours)
{
	const struct captured *p = &run->captures.packets[index];
	const struct subject *s = &run->subjects[index];
	AUTO_JSON cJSON *json = filter_to_json(f);
	AUTO_FREE char *text = json_print(json);
	struct buf expression;
	buf_init(&expression, EXPRESSION_BYTES);
	printf("UNEXPLAINED: ours %d, libpcap %d\n  filter %s\n  pcap   %s\n  packet %s #%" PRIu32
	       " (packet %zu), link type %" PRIu32 ", %zu of %" PRIu32 " bytes",
	       ours, !ours, text, expression_of(&expression, f, p->link_type, ask), p->file,
	       p->number, index, p->link_type, p->data.n, p->wire_bytes);
	for (size_t i = 0; i < p->data.n && i < 192; i++)
		printf("%s%02x", i % 32 ? i % 2 ? "" : " " : "\n    ", p->data.p[i]);
	if (s->is_ip)
		printf("\n  flow   protocol %u ports %d %u > %u later fragment %d l3 %u l4 %u\n",
		       s->flow.protocol, s->flow.has_ports, s->flow.source_port,
		       s->flow.destination_port, s->flow.later_fragment, s->flow.l3_offset,
		       s->flow.l4_offset);
	else
		printf("\n  flow   none\n");
	buf_fini(&expression);
}

/* libpcap's verdict by one program, or by any of those from first to before end. */
static bool libpcap_match(const struct run *run, size_t index, const struct programs *programs,
			  int first, int end)
{
	const struct captured *p = &run->captures.packets[index];
	size_t link = run->subjects[index].link;
	struct pcap_pkthdr head = {.caplen = (uint32_t)p->data.n, .len = p->wire_bytes};
	if (first == ASK_LOADS && head.caplen > FLOW_BYTES_MAX)
		head.caplen = FLOW_BYTES_MAX;
	for (int ask = first; ask < end; ask++) {
		if (pcap_offline_filter(&programs->code[ask][link], &head, p->data.p) != 0)
			return true;
	}
	return false;
}

static void verdict_compare(struct run *run, size_t index, const struct filter *f, int ask,
			    bool ours, bool theirs)
{
	const struct captured *p = &run->captures.packets[index];
	enum form form = ask == ASK_WORDS ? FORM_WORDS : ask == ASK_CHAIN ? FORM_CHAIN : FORM_LOADS;
	run->compared++;
	run->matched += ours && theirs;
	if (ours != theirs && !differences_add(run->differences, form, index, p, f, ours) &&
	    run->unexplained++ < UNEXPLAINED_SHOWN)
		show(run, index, f, ask, ours);
}

/* Ask both about a packet, libpcap in words and by loads. Returns our verdict. */
static bool verdict_check(struct run *run, size_t index, const struct filter *f,
			  const struct programs *programs)
{
	const struct subject *s = &run->subjects[index];
	bool chain = programs->has_chain && s->use_chain;
	bool ours = s->is_ip && filter_match(f, &s->flow);
	int words = chain ? ASK_CHAIN : ASK_WORDS;
	verdict_compare(run, index, f, words, ours,
			libpcap_match(run, index, programs, words, words + 1));
	verdict_compare(run, index, f, ASK_LOADS, ours,
			libpcap_match(run, index, programs, ASK_LOADS, asks_end(s->link)));
	return ours;
}

static void filter_check(struct run *run, const struct filter *f)
{
	struct programs programs;
	bool any = false;
	compile(run, f, &programs);
	for (size_t i = 0; i < run->captures.packet_count; i++)
		any = verdict_check(run, i, f, &programs) || any;
	run->filters_matched += any;
	programs_free(&programs);
}

static uint64_t filters_wanted(void)
{
	const char *text = getenv("EDGECAP_FILTERS");
	return text ? strtoull(text, NULL, 10) : FILTERS_DEFAULT;
}

/* Read the documentation and look for every class's name. */
static size_t documentation_check(const char *path)
{
	static char text[65536];
	FILE *file = fopen(path, "r");
	if (!file) {
		perror(path);
		return 1;
	}
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	return differences_undocumented(text);
}

static void run_print(const struct run *run, size_t originals, uint64_t filters)
{
	const struct captures *c = &run->captures;
	printf("captures: %zu files with %zu packets, %zu files of other link types, %zu not "
	       "readable\n",
	       c->file_count, originals, c->other_files, c->unreadable_files);
	printf("packets: %zu with the variants; filters: %" PRIu64 ", %" PRIu64
	       " of them matched\n",
	       c->packet_count, filters, run->filters_matched);
	printf("verdicts: %" PRIu64 " compared, %" PRIu64 " both yes\n\n", run->compared,
	       run->matched);
	differences_print(run->differences);
	printf("\nunexplained: %" PRIu64 "\n", run->unexplained);
}

int main(int argc, char **argv)
{
	struct run run = {0};
	if (argc != 3) {
		fprintf(stderr, "usage: filter_differential CAPTURES DOCUMENTATION\n");
		return 2;
	}
	struct prng r = prng_start("filter_differential");
	uint64_t filters = filters_wanted();
	captures_load(&run.captures, argv[1]);
	size_t originals = run.captures.packet_count;
	if (originals == 0) {
		fprintf(stderr, "no packets below %s\n", argv[1]);
		return 2;
	}
	variants_add(&run.captures, &r);
	subjects_init(&run);
	run.differences = differences_new(run.captures.packet_count);
	for (size_t i = 0; i < LINK_COUNT; i++)
		run.pcaps[i] = pcap_open_dead(captures_dlt(links[i]), SNAPLEN);
	for (uint64_t i = 0; i < filters; i++) {
		struct filter f = random_filter(&r, &run.captures);
		filter_check(&run, &f);
	}
	run_print(&run, originals, filters);
	size_t undocumented = documentation_check(argv[2]);
	/* A run in which little matches shows nothing. */
	bool weak = run.filters_matched < filters / 3;
	if (weak)
		printf("too few filters matched anything\n");
	for (size_t i = 0; i < LINK_COUNT; i++)
		pcap_close(run.pcaps[i]);
	differences_free(run.differences);
	free(run.subjects);
	captures_fini(&run.captures);
	return run.unexplained > 0 || undocumented > 0 || weak;
}
