#include "api/token_view.h"

#include "base/json.h"
#include "tests/support/unit.h"

static void assert_view(const struct jq_token *token, const char *value, const char *want)
{
	AUTO_JSON cJSON *tree = token_view(token, value);
	AUTO_FREE char *text = json_print(tree);

	assert_non_null(text);
	assert_string_equal(text, want);
}

static void what_applies_is_shown(void **state)
{
	struct jq_token t = {.id = {"019aa6ccd41f7b2c9b44a5b6c7d8e9f0"},
			     .status = TOKEN_ACTIVE,
			     .name = "ci",
			     .sources = "",
			     .permissions = PERM_READ,
			     .created_us = 1795255200000000};

	(void)state;
	assert_view(&t, NULL,
		    "{\"id\":\"019aa6ccd41f7b2c9b44a5b6c7d8e9f0\",\"name\":\"ci\","
		    "\"status\":\"active\",\"permissions\":[\"read\"],"
		    "\"issued_on\":\"2026-11-21T10:00:00.000000Z\"}");
	t.status = TOKEN_DISABLED;
	t.sources = "192.0.2.0/24,2001:db8::/32";
	t.permissions = PERM_READ | PERM_DOWNLOAD | PERM_COLLECT | PERM_ADMIN;
	t.expires_us = t.created_us + 1;
	t.last_used_us = t.created_us + 2;
	assert_view(&t, "secret",
		    "{\"id\":\"019aa6ccd41f7b2c9b44a5b6c7d8e9f0\",\"name\":\"ci\","
		    "\"status\":\"disabled\",\"permissions\":[\"read\",\"download\",\"collect\","
		    "\"admin\"],\"issued_on\":\"2026-11-21T10:00:00.000000Z\","
		    "\"expires_on\":\"2026-11-21T10:00:00.000001Z\","
		    "\"last_used_on\":\"2026-11-21T10:00:00.000002Z\","
		    "\"condition\":{\"request_ip\":{\"in\":[\"192.0.2.0/24\",\"2001:db8::/32\"]}},"
		    "\"value\":\"secret\"}");
}

static void statuses_have_texts(void **state)
{
	enum token_status s;

	(void)state;
	assert_int_equal(token_status_parse("expired", &s), 0);
	assert_int_equal(s, TOKEN_EXPIRED);
	assert_string_equal(token_status_text(TOKEN_EXPIRED), "expired");
	assert_int_equal(token_status_parse("", &s), EC_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_applies_is_shown),
		cmocka_unit_test(statuses_have_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
