#include "api/login_rate.h"

#include <stdio.h>

#include "base/limits.h"
#include "tests/support/unit.h"

static struct digest credential(const char *text)
{
	return digest_sha256(bytes_of(text));
}

static struct login_key key_at(const struct login_rate *rate, const char *source, const char *text)
{
	struct address address;
	struct digest d = credential(text);

	if (!source)
		return login_rate_key(rate, NULL, &d);
	assert_int_equal(address_parse(bytes_of(source), &address), 0);
	return login_rate_key(rate, &address, &d);
}

/* Take until it is refused; how many. */
static unsigned take_all(struct login_rate *rate, const struct login_key *key, uint64_t now_ms)
{
	unsigned n = 0;

	while (n < 100 && login_rate_take(rate, key, now_ms) == 0)
		n++;
	return n;
}

static void a_burst_then_one_at_a_time(void **state)
{
	struct login_rate *rate = login_rate_new(20, 3000);
	struct login_key k = key_at(rate, "192.0.2.1", "a");

	(void)state;
	assert_int_equal(take_all(rate, &k, 1000), 20);
	assert_int_equal(login_rate_take(rate, &k, 1000), 3);
	assert_int_equal(login_rate_take(rate, &k, 1001), 3);
	assert_int_equal(login_rate_take(rate, &k, 2000), 2);
	assert_int_equal(login_rate_take(rate, &k, 3999), 1);
	assert_int_equal(login_rate_take(rate, &k, 4000), 0);
	assert_int_equal(login_rate_take(rate, &k, 4000), 3);
	/* a clock that steps back gives nothing away */
	assert_int_equal(login_rate_take(rate, &k, 0), 3);
	assert_int_equal(login_rate_take(rate, &k, 6999), 1);
	/* what was refused does not push the time away; and it is never more than the burst */
	assert_int_equal(login_rate_take(rate, &k, 7000), 0);
	assert_int_equal(take_all(rate, &k, 10000000), 20);
	login_rate_free(rate);
}

static void sources_are_addresses_and_networks_of_64_bits(void **state)
{
	struct login_rate *rate = login_rate_new(3, 1000);
	struct login_key k = key_at(rate, "2001:db8:0:1::1", "a");

	(void)state;
	assert_int_equal(take_all(rate, &k, 0), 3);
	k = key_at(rate, "2001:db8:0:1:ffff:ffff:ffff:ffff", "b");
	assert_int_equal(take_all(rate, &k, 0), 0);
	k = key_at(rate, "2001:db8:0:2::1", "a");
	assert_int_equal(take_all(rate, &k, 0), 3);
	k = key_at(rate, "192.0.2.1", "a");
	assert_int_equal(take_all(rate, &k, 0), 3);
	k = key_at(rate, "192.0.2.2", "a");
	assert_int_equal(take_all(rate, &k, 0), 3);
	/* the address whose bytes are the same in the other family is another */
	k = key_at(rate, "c000:201::", "a");
	assert_int_equal(take_all(rate, &k, 0), 3);
	/* all that are not known are one */
	k = key_at(rate, NULL, "a");
	assert_int_equal(take_all(rate, &k, 0), 3);
	k = key_at(rate, NULL, "b");
	assert_int_equal(take_all(rate, &k, 0), 0);
	login_rate_free(rate);
}

static void what_was_taken_can_be_given_back(void **state)
{
	struct login_rate *rate = login_rate_new(2, 1000);
	struct login_key k = key_at(rate, "192.0.2.1", "a");

	(void)state;
	login_rate_give_back(rate, &k, 0); /* never more than all */
	assert_int_equal(take_all(rate, &k, 0), 2);
	login_rate_give_back(rate, &k, 0);
	assert_int_equal(take_all(rate, &k, 0), 1);
	/* a failure that was not taken before: down to none */
	login_rate_give_back(rate, &k, 0);
	login_rate_charge(rate, &k, 0);
	login_rate_charge(rate, &k, 0);
	assert_int_equal(take_all(rate, &k, 0), 0);
	assert_int_equal(take_all(rate, &k, 1000), 1);
	login_rate_free(rate);
}

static void a_pair_has_a_holder_as_long_as_it_is_known(void **state)
{
	const uint64_t ten_min_ms = 600000;
	struct login_rate *rate = login_rate_new(2, 1000);
	struct login_key k = key_at(rate, "192.0.2.1", "a");
	struct id holder = id_new_v4(), found;

	(void)state;
	login_rate_note(rate, &k, &holder);
	login_rate_remember(rate, &k, 5);
	assert_false(login_rate_holder(rate, &k, 5, &found));
	login_rate_note(rate, &k, &holder);
	assert_true(login_rate_holder(rate, &k, 5, &found));
	assert_true(id_equal(&found, &holder));
	login_rate_remember(rate, &k, 6);
	assert_true(login_rate_holder(rate, &k, 6, &found));
	assert_false(login_rate_holder(rate, &k, 6 + ten_min_ms, &found));
	login_rate_forget(rate, &k);
	login_rate_remember(rate, &k, 7);
	assert_false(login_rate_holder(rate, &k, 7, &found));
	login_rate_free(rate);
}

static void a_pair_is_known_for_ten_minutes(void **state)
{
	const uint64_t ten_min_ms = 600000;
	struct login_rate *rate = login_rate_new(2, 1000);
	struct login_key k = key_at(rate, "192.0.2.1", "a");
	struct login_key other = key_at(rate, "192.0.2.1", "b");
	struct login_key elsewhere = key_at(rate, "192.0.2.2", "a");

	(void)state;
	assert_false(login_rate_knows(rate, &k, 5));
	login_rate_remember(rate, &k, 5);
	assert_true(login_rate_knows(rate, &k, 5));
	assert_true(login_rate_knows(rate, &k, 4 + ten_min_ms));
	assert_false(login_rate_knows(rate, &k, 5 + ten_min_ms));
	assert_false(login_rate_knows(rate, &other, 5));
	assert_false(login_rate_knows(rate, &elsewhere, 5));
	login_rate_remember(rate, &k, 1000);
	assert_true(login_rate_knows(rate, &k, 5 + ten_min_ms));
	login_rate_forget(rate, &other);
	assert_true(login_rate_knows(rate, &k, 1000));
	login_rate_forget(rate, &k);
	assert_false(login_rate_knows(rate, &k, 1000));
	login_rate_free(rate);
}

/* An attacker with many networks makes room for himself with those that have failed least: the worst stay. */
static void a_full_table_forgets_who_has_failed_least(void **state)
{
	struct login_rate *rate = login_rate_new(10, 1000);
	struct login_key k = key_at(rate, "192.0.2.1", "a");
	char text[64];

	(void)state;
	assert_int_equal(take_all(rate, &k, 0), 10);
	for (unsigned i = 0; i < 4 * LIMIT_LOGIN_SOURCES; i++) {
		(void)snprintf(text, sizeof(text), "2001:db8:%x:%x::1", i >> 8, i & 0xff);
		struct login_key other = key_at(rate, text, "a");
		assert_int_equal(login_rate_take(rate, &other, 0), 0);
	}
	assert_int_equal(take_all(rate, &k, 0), 0);
	login_rate_free(rate);
}

/* Many more pairs than there is room for: the latest are known, and most of the table is. */
static void a_full_table_forgets_the_oldest_pair(void **state)
{
	struct login_rate *rate = login_rate_new(10, 1000);
	const unsigned count = 2 * LIMIT_LOGINS_KNOWN;
	unsigned known = 0;
	char text[32];

	(void)state;
	for (unsigned i = 0; i < count; i++) {
		(void)snprintf(text, sizeof(text), "%u", i);
		struct login_key k = key_at(rate, "192.0.2.1", text);
		login_rate_remember(rate, &k, i);
		assert_true(login_rate_knows(rate, &k, i));
	}
	for (unsigned i = 0; i < count; i++) {
		(void)snprintf(text, sizeof(text), "%u", i);
		struct login_key k = key_at(rate, "192.0.2.1", text);
		known += login_rate_knows(rate, &k, count);
	}
	assert_in_range(known, LIMIT_LOGINS_KNOWN * 9 / 10, LIMIT_LOGINS_KNOWN);
	login_rate_free(rate);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_then_one_at_a_time),
		cmocka_unit_test(sources_are_addresses_and_networks_of_64_bits),
		cmocka_unit_test(what_was_taken_can_be_given_back),
		cmocka_unit_test(a_pair_is_known_for_ten_minutes),
		cmocka_unit_test(a_pair_has_a_holder_as_long_as_it_is_known),
		cmocka_unit_test(a_full_table_forgets_who_has_failed_least),
		cmocka_unit_test(a_full_table_forgets_the_oldest_pair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
