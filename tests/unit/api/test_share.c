/* Shares: each holder has its own limit, and who holds nothing is forgotten. */
#include "api/share.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "tests/support/unit.h"

static void each_holder_has_the_limit(void **state)
{
	struct share s = {0};
	struct id a = id_new_v4(), b = id_new_v4();

	(void)state;
	assert_true(share_take(&s, &a, 2));
	assert_true(share_take(&s, &a, 2));
	assert_false(share_take(&s, &a, 2));
	assert_int_equal(share_held(&s, &a), 2);
	assert_true(share_take(&s, &b, 2));
	share_give(&s, &a);
	assert_true(share_take(&s, &a, 2));
	assert_false(share_take(&s, &a, 2));
	share_fini(&s);
}

static void who_holds_nothing_is_forgotten(void **state)
{
	struct share s = {0};
	struct id holders[100];

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < ARRAY_LEN(holders); i++) {
			holders[i] = id_new_v4();
			assert_true(share_take(&s, &holders[i], 1));
		}
		assert_int_equal(s.holders.count, ARRAY_LEN(holders));
		for (size_t i = 0; i < ARRAY_LEN(holders); i++)
			share_give(&s, &holders[i]);
		assert_int_equal(s.holders.count, 0);
	}
	share_fini(&s);
}

static struct id source(const struct id *key, const char *text)
{
	struct sockaddr_in in4 = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	struct id id = {""};

	if (inet_pton(AF_INET, text, &in4.sin_addr) == 1) {
		assert_true(share_source(key, (struct sockaddr *)&in4, &id));
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
		assert_true(share_source(key, (struct sockaddr *)&in6, &id));
	}
	return id;
}

static void sources_are_addresses_and_networks(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} rows[] = {
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
		{"2001:db8::1", "2001:db8::ffff:0:0:1", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"::1", "192.0.2.1", false},
	};
	struct id key = id_new_v4(), other = id_new_v4(), id = {""};
	struct sockaddr un = {.sa_family = AF_UNIX};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct id a = source(&key, rows[i].a), b = source(&key, rows[i].b);
		assert_int_equal(id_equal(&a, &b), rows[i].same);
	}
	struct id a = source(&key, "192.0.2.1"), b = source(&other, "192.0.2.1");
	assert_false(id_equal(&a, &b));
	assert_false(share_source(&key, &un, &id));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_holder_has_the_limit),
		cmocka_unit_test(who_holds_nothing_is_forgotten),
		cmocka_unit_test(sources_are_addresses_and_networks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
