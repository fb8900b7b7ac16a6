/* Which addresses a tenant's bucket may have. */
#include "storage/public_address.h"

#include <arpa/inet.h>

#include "base/attr.h"
#include "tests/support/unit.h"

static bool is_public(const char *text)
{
	struct sockaddr_storage s = {.ss_family = AF_INET};

	if (inet_pton(AF_INET, text, &((struct sockaddr_in *)&s)->sin_addr) != 1) {
		s.ss_family = AF_INET6;
		assert_int_equal(inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)&s)->sin6_addr),
				 1);
	}
	return address_is_public((const struct sockaddr *)&s);
}

static void public_ones(void **state)
{
	static const char *const texts[] = {
		"1.1.1.1",         "9.255.255.255",   "11.0.0.0",          "100.63.255.255",
		"100.128.0.0",     "126.255.255.255", "128.0.0.0",         "169.253.255.255",
		"169.255.0.0",     "172.15.255.255",  "172.32.0.0",        "192.167.255.255",
		"192.169.0.0",     "198.17.255.255",  "198.20.0.0",        "223.255.255.255",
		"2600::1",         "2a00:1450::1",    "::ffff:1.1.1.1",    "64:ff9b::1.1.1.1",
		"2002:101:101::1", "2001:4860::8888", "3ffe:ffff:ffff::1",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		if (!is_public(texts[i]))
			fail_msg("%s is public", texts[i]);
	}
}

static void refused_ones(void **state)
{
	static const char *const texts[] = {
		"0.0.0.0",
		"0.1.2.3",
		"10.0.0.1",
		"10.255.255.255",
		"100.64.0.1",
		"100.127.255.255",
		"127.0.0.1",
		"127.255.255.254",
		"169.254.169.254",
		"169.254.0.1",
		"172.16.0.1",
		"172.31.255.255",
		"192.0.0.8",
		"192.0.2.1",
		"192.168.0.1",
		"192.168.255.255",
		"198.18.0.1",
		"198.19.255.255",
		"198.51.100.1",
		"203.0.113.1",
		"224.0.0.1",
		"239.255.255.255",
		"240.0.0.1",
		"255.255.255.255",
		"::",
		"::1",
		"::127.0.0.1",
		"::1.1.1.1",
		"::ffff:127.0.0.1",
		"::ffff:10.0.0.1",
		"::ffff:169.254.169.254",
		"::ffff:0.0.0.0",
		"64:ff9b::127.0.0.1",
		"64:ff9b::169.254.169.254",
		"64:ff9b:1::1.1.1.1",
		"2002:7f00:1::1",
		"2002:a9fe:a9fe::1",
		"2002:c0a8:1::",
		"2001::1",
		"2001:1::1",
		"2001:db8::1",
		"3fff::1",
		"fe80::1",
		"febf::1",
		"fec0::1",
		"fc00::1",
		"fd00:ec2::254",
		"fdff::1",
		"ff02::1",
		"ff0e::1",
		"100::1",
		"4000::1",
	};
	struct sockaddr unix_one = {.sa_family = AF_UNIX};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		if (is_public(texts[i]))
			fail_msg("%s is not public", texts[i]);
	}
	assert_false(address_is_public(&unix_one));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(public_ones),
		cmocka_unit_test(refused_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
