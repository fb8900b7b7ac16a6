#include "api/listen.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/support/temp_dir.h"
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

static void socket_modes(void **state)
{
	static const char *const wrong[] = {"",      "6",   "66",  "0",   "1660",
					    "00660", "rw-", "868", "0x1", "-66"};
	struct error err = {.code = 0};
	mode_t mode = 0;

	(void)state;
	assert_int_equal(api_socket_mode_parse(bytes_of("0660"), &mode, &err), 0);
	assert_int_equal(mode, 0660);
	assert_int_equal(api_socket_mode_parse(bytes_of("777"), &mode, &err), 0);
	assert_int_equal(mode, 0777);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		if (api_socket_mode_parse(bytes_of(wrong[i]), &mode, &err) != EC_EINVAL)
			fail_msg("\"%s\" is a mode", wrong[i]);
	}
	assert_int_equal(mode, 0777);
}

/* Mode of the file of a listener that asked for this one, under this umask. */
static mode_t bound_mode(mode_t mode, mode_t mask)
{
	char text[TEMP_DIR_BYTES + 16], dir[TEMP_DIR_BYTES];
	struct api_address a;
	struct error err = {.code = 0};
	union api_stream handle;
	struct stat st;
	uv_loop_t loop;
	bool open = false;

	temp_dir_make(dir);
	(void)snprintf(text, sizeof(text), "unix:%s/socket", dir);
	assert_int_equal(api_address_parse(bytes_of(text), &a, &err), 0);
	assert_int_equal(a.mode, API_SOCKET_MODE);
	a.mode = mode;
	assert_int_equal(uv_loop_init(&loop), 0);
	(void)umask(mask);
	if (api_listen_bind(&loop, &a, false, &handle, &open, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(umask(022), mask); /* as it was */
	assert_int_equal(stat(text + 5, &st), 0);
	uv_close(&handle.handle, NULL);
	assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&loop), 0);
	temp_dir_remove(dir);
	return st.st_mode & 0777;
}

static void a_socket_has_its_mode_whatever_the_umask(void **state)
{
	(void)state;
	assert_int_equal(bound_mode(0660, 0), 0660);
	assert_int_equal(bound_mode(0660, 077), 0660);
	assert_int_equal(bound_mode(0620, 0777), 0620);
	assert_int_equal(bound_mode(0777, 022), 0777);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_literal),
		cmocka_unit_test(others_are_refused_with_what_was_seen),
		cmocka_unit_test(socket_modes),
		cmocka_unit_test(a_socket_has_its_mode_whatever_the_umask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
