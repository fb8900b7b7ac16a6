#include "api/listen.h"

#include <arpa/inet.h>
#include <string.h>

#include "tests/support/unit.h"

static void addresses_are_literal(void **state)
{
	struct api_address a;
	struct error err = {.code = 0};
	char text[INET6_ADDRSTRLEN];

	(void)state;
	assert_int_equal(api_address_parse(bytes_of("127.0.0.1:8080"), &a, &err), 0);
	const struct sockaddr_in *in4 = (const struct sockaddr_in *)(const void *)&a.inet;
	assert_int_equal(in4->sin_family, AF_INET);
	assert_int_equal(ntohs(in4->sin_port), 8080);
	assert_string_equal(inet_ntop(AF_INET, &in4->sin_addr, text, sizeof(text)), "127.0.0.1");
	assert_int_equal(api_address_parse(bytes_of("[2001:db8::1]:0"), &a, &err), 0);
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)&a.inet;
	assert_int_equal(in6->sin6_family, AF_INET6);
	assert_string_equal(inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text)),
			    "2001:db8::1");
	assert_int_equal(api_address_parse(bytes_of("unix:/run/x.sock"), &a, &err), 0);
	assert_true(a.is_unix);
	assert_string_equal(a.path, "/run/x.sock");
}

static void others_are_refused_with_what_was_seen(void **state)
{
	static const char *const texts[] = {
		"",
		"localhost:80",
		"127.0.0.1",
		"127.0.0.1:",
		"127.0.0.1:65536",
		"127.0.0.1:x",
		"127.0.0.1:-1",
		":80",
		"::1:80",
		"[::1]",
		"[::1:80",
		"[]:80",
		"256.0.0.1:80",
		"unix:",
		"unix:relative",
		"127.0.0.1 :80",
		"127.0.0.1:080",
		" 127.0.0.1:80",
		"*:80",
	};
	struct api_address a;
	char path[300] = "unix:/";

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct error err = {.code = 0};
		if (api_address_parse(bytes_of(texts[i]), &a, &err) != EC_EINVAL)
			fail_msg("\"%s\" is an address", texts[i]);
		assert_true(strlen(err.text) > 0);
	}
	memset(path + 6, 'a', 150);
	struct error err = {.code = 0};
	assert_int_equal(api_address_parse(bytes_of(path), &a, &err), EC_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_literal),
		cmocka_unit_test(others_are_refused_with_what_was_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
