/* The list of a job's chunks: bounded, and shared fairly by its hosts. */
#include "tests/unit/assembler/assembly_fixture.h"

#include <stdlib.h>

enum { MAX = 12 };

/* Build the index of hosts with so many tiny chunks each; ret: how many of each are in it. */
static void build(struct fixture *f, const unsigned *chunks, size_t hosts, unsigned *ret,
		  uint64_t *ret_ignored)
{
	struct chunk_index index = {.max = MAX};
	struct assembly *a = NULL;

	fixture_claim(f, hosts);
	for (unsigned h = 0; h < hosts; h++) {
		for (unsigned seq = 0; seq < chunks[h]; seq++)
			store_packets(f, h, seq, BEGIN_NS + seq, seq, 1);
	}
	assert_int_equal(assembly_new(&f->claim, &a, NULL), 0);
	assert_int_equal(chunk_index_build(&index, a, f->store, &a->err), 0);
	memset(ret, 0, hosts * sizeof(*ret));
	for (size_t i = 0; i < index.count; i++) {
		assert_int_equal(index.chunks[i].seq, ret[index.chunks[i].part]);
		ret[index.chunks[i].part]++;
	}
	*ret_ignored = a->ignored_chunks;
	for (size_t h = 0; h < hosts; h++)
		assert_int_equal(a->found[h].chunks, chunks[h]);
	chunk_index_fini(&index);
	assembly_free(a);
}

static void test_chunks_without_end_harm_their_own_host_only(void **state)
{
	static const struct {
		unsigned chunks[3], kept[3];
		size_t hosts;
	} cases[] = {
		{{5, 7}, {5, 7}, 2},         /* all fit */
		{{40, 3}, {6, 3}, 2},        /* the first has more than is left */
		{{3, 40}, {3, 9}, 2},        /* the last may have what is left */
		{{40, 40}, {6, 6}, 2},       /* both do */
		{{30, 4, 4}, {4, 4, 4}, 3},  /* an honest host behind another */
		{{2, 30, 4}, {2, 4, 4}, 3},  /* and behind a hostile one */
		{{40, 0, 0}, {12, 0, 0}, 3}, /* alone it has all */
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		unsigned kept[3], total = 0, in = 0;
		uint64_t ignored = 0;
		struct fixture *fresh = NULL;
		assert_int_equal(fixture_setup((void **)&fresh), 0);
		build(fresh, cases[i].chunks, cases[i].hosts, kept, &ignored);
		for (size_t h = 0; h < cases[i].hosts; h++) {
			assert_int_equal(kept[h], cases[i].kept[h]);
			total += cases[i].chunks[h];
			in += kept[h];
		}
		assert_int_equal(ignored, total - in);
		assert_int_equal(fixture_teardown((void **)&fresh), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chunks_without_end_harm_their_own_host_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
