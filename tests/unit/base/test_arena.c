#include "base/arena.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void gives_zeroed_aligned_separate_memory(void **state)
{
	(void)state;
	struct arena a;
	uint8_t *seen[200];

	arena_init(&a, 1 << 20);
	for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
		size_t n = i * 13 % 300;
		seen[i] = arena_alloc(&a, n);
		assert_non_null(seen[i]);
		assert_int_equal((uintptr_t)seen[i] % alignof(max_align_t), 0);
		for (size_t j = 0; j < n; j++)
			assert_int_equal(seen[i][j], 0);
		memset(seen[i], (int)i, n);
	}
	/* Later pieces did not overwrite earlier ones. */
	for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
		for (size_t j = 0; j < i * 13 % 300; j++)
			assert_int_equal(seen[i][j], (uint8_t)i);
		for (size_t k = 0; k < i; k++)
			assert_ptr_not_equal(seen[i], seen[k]);
	}
	arena_fini(&a);
}

static void stops_at_its_limit(void **state)
{
	(void)state;
	struct arena a;

	arena_init(&a, 4096);
	assert_non_null(arena_alloc(&a, 4000));
	assert_null(arena_alloc(&a, 4096));
	assert_non_null(arena_alloc(&a, 96 - alignof(max_align_t)));
	assert_non_null(arena_alloc(&a, 1));
	assert_null(arena_alloc(&a, 1));
	assert_int_equal(a.used_bytes, 4096);
	arena_fini(&a);
	assert_int_equal(a.used_bytes, 0);
	assert_int_equal(a.limit_bytes, 4096);
	assert_non_null(arena_alloc(&a, 4096));
	arena_fini(&a);
}

static void refuses_sizes_that_overflow(void **state)
{
	(void)state;
	struct arena a;

	arena_init(&a, SIZE_MAX);
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_null(arena_alloc(&a, SIZE_MAX - alignof(max_align_t)));
	assert_null(arena_calloc(&a, SIZE_MAX / 2, 3));
	assert_null(arena_calloc(&a, (size_t)1 << 32, (size_t)1 << 32));
	assert_non_null(arena_calloc(&a, 0, 8));
	assert_non_null(arena_calloc(&a, 3, 8));
	arena_fini(&a);
}

static void large_pieces_have_their_own_block(void **state)
{
	(void)state;
	struct arena a;

	arena_init(&a, 8 << 20);
	uint8_t *small = arena_alloc(&a, 8);
	uint8_t *large = arena_alloc(&a, 3 << 20);
	assert_non_null(small);
	assert_non_null(large);
	memset(large, 1, 3 << 20);
	assert_int_equal(small[0], 0);
	arena_fini(&a);
}

static void copies_texts(void **state)
{
	(void)state;
	struct arena a;
	char original[] = "text";

	arena_init(&a, 4096);
	char *copy = arena_strdup(&a, original);
	original[0] = 'X';
	assert_string_equal(copy, "text");
	assert_null(arena_strdup(&a, NULL));
	assert_string_equal(arena_strdup(&a, ""), "");
	assert_string_equal(arena_strndup(&a, (struct bytes){(const uint8_t *)"abcdef", 3}), "abc");
	assert_string_equal(arena_strndup(&a, (struct bytes){NULL, 0}), "");
	assert_string_equal(arena_printf(&a, "%d-%s", 42, "x"), "42-x");
	arena_fini(&a);
}

static void texts_respect_the_limit(void **state)
{
	(void)state;
	struct arena a;

	arena_init(&a, 16);
	assert_null(arena_strdup(&a, "0123456789abcdef"));
	assert_null(arena_printf(&a, "%0100d", 1));
	assert_null(arena_strndup(&a, (struct bytes){(const uint8_t *)"", SIZE_MAX}));
	assert_string_equal(arena_strdup(&a, "0123456789abcde"), "0123456789abcde");
	arena_fini(&a);
}

static void fini_accepts_a_zeroed_struct(void **state)
{
	(void)state;
	struct arena a = {0};

	arena_fini(&a);
	assert_null(arena_alloc(&a, 1)); /* limit 0 */
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_zeroed_aligned_separate_memory),
		cmocka_unit_test(stops_at_its_limit),
		cmocka_unit_test(refuses_sizes_that_overflow),
		cmocka_unit_test(large_pieces_have_their_own_block),
		cmocka_unit_test(copies_texts),
		cmocka_unit_test(texts_respect_the_limit),
		cmocka_unit_test(fini_accepts_a_zeroed_struct),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
