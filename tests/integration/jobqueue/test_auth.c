/* Who is asking: tokens, keys and samplers, as edgecap-admin makes them. */
#include "kit.h"

#include <stdio.h>

#include "base/limits.h"

struct answer {
	bool done;
	int code;
	struct jq_identity identity;
	char actor[256];
	char reason[EC_ERROR_TEXT_BYTES];
	struct jq_sampler sampler;
	char name[256], colo[64];
};

static void on_identity(void *arg, const struct error *err, const struct jq_identity *identity)
{
	struct answer *a = arg;

	assert_int_equal(!err, identity != NULL);
	a->code = err ? err->code : 0;
	(void)snprintf(a->reason, sizeof(a->reason), "%s", err ? err->text : "");
	if (identity) {
		a->identity = *identity;
		(void)snprintf(a->actor, sizeof(a->actor), "%s", identity->actor);
	}
	a->done = true;
}

static struct digest hash(const char *secret)
{
	return digest_sha256(bytes_of(secret));
}

/* source: NULL for one that is not known. */
static struct answer by_token_from(struct kit *k, const char *token, const struct id *account,
				   const char *source)
{
	struct answer a = {0};
	struct digest d = hash(token);
	struct address address;

	if (source)
		assert_int_equal(address_parse(bytes_of(source), &address), 0);
	jq_auth_token(k->api, &d, account, source ? &address : NULL, on_identity, &a);
	kit_run_until(k, &a.done);
	return a;
}

static struct answer by_token(struct kit *k, const char *token, const struct id *account)
{
	return by_token_from(k, token, account, NULL);
}

static void assert_refused(const struct answer *a, const char *what, const struct id *id,
			   const char *why)
{
	char text[EC_ERROR_TEXT_BYTES];

	(void)snprintf(text, sizeof(text), "%s %s: %s", what, id->hex, why);
	assert_int_equal(a->code, EC_EAUTH);
	assert_string_equal(a->reason, text);
}

static struct answer by_key(struct kit *k, const char *email, const char *key,
			    const struct id *account)
{
	struct answer a = {0};
	struct digest d = hash(key);

	jq_auth_key(k->api, email, &d, account, on_identity, &a);
	kit_run_until(k, &a.done);
	return a;
}

static void test_token_is_seen_from_its_account(void **state)
{
	struct kit *k = *state;
	struct id mine = kit_account(k, 0, 16, NULL), theirs = kit_account(k, 0, 16, NULL), id;
	struct id none = id_new_v4();
	char secret[SECRET_TEXT_BYTES];
	struct registry_token token = {
		.account = mine, .name = "ci", .permissions = PERM_READ | PERM_COLLECT};

	assert_int_equal(registry_token_create(k->registry, &token, &id, secret, NULL), 0);
	struct answer a = by_token(k, secret, &mine);
	assert_int_equal(a.code, 0);
	assert_true(a.identity.account_member);
	assert_int_equal(a.identity.permissions, PERM_READ | PERM_COLLECT);
	assert_true(id_equal(&a.identity.credential, &id));
	assert_string_equal(a.actor, "token:ci");
	/* known, but of another account; an account that is not there looks the same */
	a = by_token(k, secret, &theirs);
	assert_int_equal(a.code, 0);
	assert_false(a.identity.account_member);
	assert_int_equal(a.identity.permissions, 0);
	assert_true(id_equal(&a.identity.holder, &mine));
	a = by_token(k, secret, &none);
	assert_int_equal(a.code, 0);
	assert_false(a.identity.account_member);
	assert_int_equal(by_token(k, "another", &mine).code, EC_EAUTH);
	/* of a disabled account */
	assert_int_equal(registry_account_disable(k->registry, &mine, true, NULL), 0);
	a = by_token(k, secret, &mine);
	assert_int_equal(a.code, 0);
	assert_false(a.identity.account_member);
	assert_int_equal(a.identity.permissions, 0);
}

static void test_expired_and_revoked_tokens_are_unknown(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 16, NULL), id;
	char expired[SECRET_TEXT_BYTES], revoked[SECRET_TEXT_BYTES];
	struct registry_token token = {.account = account,
				       .name = "old",
				       .permissions = PERM_READ,
				       .expires_us = clock_wall_now_us() + 60000000};

	assert_int_equal(registry_token_create(k->registry, &token, &id, expired, NULL), 0);
	assert_int_equal(by_token(k, expired, &account).code, 0);
	token.name = "new";
	token.expires_us = 0;
	assert_int_equal(registry_token_create(k->registry, &token, &id, revoked, NULL), 0);
	assert_int_equal(by_token(k, revoked, &account).code, 0);
	assert_int_equal(registry_token_revoke(k->registry, &account, "new", &id, NULL), 0);
	assert_int_equal(by_token(k, revoked, &account).code, EC_EAUTH);
	assert_int_equal(registry_token_revoke(k->registry, &account, "new", &id, NULL),
			 EC_ENOTFOUND);
	kit_sql(k,
		"UPDATE api_tokens SET expires_at = now() WHERE account_id = '%s' AND name = 'old'",
		account.hex);
	assert_int_equal(by_token(k, expired, &account).code, EC_EAUTH);
}

/* The operator is told why a credential is refused; nobody else is. */
static void test_the_reason_of_a_refusal(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 16, NULL), id, same;
	char secret[SECRET_TEXT_BYTES];
	struct registry_token token = {.account = account, .name = "why", .permissions = PERM_READ};
	struct registry_member m = {
		.email = "why@example.net", .account = account, .role = "reader"};
	struct registry_user user = {0}, again = {0};

	assert_int_equal(registry_token_create(k->registry, &token, &id, secret, NULL), 0);
	struct answer a = by_token(k, "another", &account);
	assert_int_equal(a.code, EC_EAUTH);
	assert_string_equal(a.reason, "token: unknown");
	kit_sql(k, "UPDATE api_tokens SET expires_at = now() WHERE id = '%s'", id.hex);
	a = by_token(k, secret, &account);
	assert_refused(&a, "token", &id, "expired");
	assert_int_equal(registry_token_revoke(k->registry, &account, "why", &same, NULL), 0);
	a = by_token(k, secret, &account);
	assert_refused(&a, "token", &id, "revoked");

	assert_int_equal(registry_user_create(k->registry, &m, &user, NULL), 0);
	a = by_key(k, "nobody@example.net", user.key, &account);
	assert_string_equal(a.reason, "user: unknown");
	a = by_key(k, m.email, "x", &account);
	assert_refused(&a, "user", &user.id, "wrong key");
	m.new_key = true;
	assert_int_equal(registry_user_create(k->registry, &m, &again, NULL), 0);
	a = by_key(k, m.email, user.key, &account);
	assert_refused(&a, "user", &user.id, "revoked key");
	kit_sql(k, "UPDATE users SET disabled = true WHERE id = '%s'", user.id.hex);
	a = by_key(k, m.email, again.key, &account);
	assert_refused(&a, "user", &user.id, "disabled");
}

static void test_a_token_for_some_networks(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 16, NULL), id;
	char secret[SECRET_TEXT_BYTES];
	struct prefix sources[2];
	struct registry_token token = {.account = account,
				       .name = "networks",
				       .permissions = PERM_READ,
				       .sources = sources,
				       .source_count = 2};

	assert_int_equal(prefix_parse(bytes_of("192.0.2.128/25"), &sources[0], NULL), 0);
	assert_int_equal(prefix_parse(bytes_of("2001:db8::/33"), &sources[1], NULL), 0);
	assert_int_equal(registry_token_create(k->registry, &token, &id, secret, NULL), 0);
	assert_int_equal(by_token_from(k, secret, &account, "192.0.2.128").code, 0);
	assert_int_equal(by_token_from(k, secret, &account, "192.0.2.255").code, 0);
	assert_int_equal(by_token_from(k, secret, &account, "2001:db8:7fff::1").code, 0);
	struct answer a = by_token_from(k, secret, &account, "192.0.2.127");
	assert_refused(&a, "token", &id, "not for this source");
	assert_int_equal(by_token_from(k, secret, &account, "192.0.3.128").code, EC_EAUTH);
	assert_int_equal(by_token_from(k, secret, &account, "2001:db8:8000::1").code, EC_EAUTH);
	assert_int_equal(by_token_from(k, secret, &account, "::1").code, EC_EAUTH);
	assert_int_equal(by_token(k, secret, &account).code, EC_EAUTH);
	token.source_count = LIMIT_TOKEN_SOURCES + 1;
	assert_int_equal(registry_token_create(k->registry, &token, &id, secret, NULL), EC_ELIMIT);
}

static void test_key_of_a_user_in_two_accounts(void **state)
{
	struct kit *k = *state;
	struct id one = kit_account(k, 0, 16, NULL), two = kit_account(k, 0, 16, NULL);
	struct id none = kit_account(k, 0, 16, NULL);
	struct registry_user first = {0}, second = {0}, third = {0};
	struct registry_member m = {.email = "Ann@Example.net", .account = one, .role = "reader"};

	assert_int_equal(registry_user_create(k->registry, &m, &first, NULL), 0);
	assert_true(first.key_new);
	m = (struct registry_member){.email = "ann@example.NET", .account = two, .role = "admin"};
	assert_int_equal(registry_user_create(k->registry, &m, &second, NULL), 0);
	assert_false(second.key_new);
	assert_string_equal(second.key, "");
	assert_true(id_equal(&first.id, &second.id));

	struct answer a = by_key(k, "ANN@example.net", first.key, &one);
	assert_int_equal(a.code, 0);
	assert_true(a.identity.account_member);
	assert_int_equal(a.identity.permissions, PERM_READ | PERM_DOWNLOAD);
	assert_string_equal(a.actor, "Ann@Example.net");
	a = by_key(k, "ann@example.net", first.key, &two);
	assert_int_equal(a.identity.permissions,
			 PERM_READ | PERM_DOWNLOAD | PERM_COLLECT | PERM_ADMIN);
	a = by_key(k, "ann@example.net", first.key, &none);
	assert_int_equal(a.code, 0);
	assert_false(a.identity.account_member);
	assert_int_equal(a.identity.permissions, 0);
	assert_int_equal(by_key(k, "ann@example.net", "wrong", &one).code, EC_EAUTH);
	assert_int_equal(by_key(k, "bob@example.net", first.key, &one).code, EC_EAUTH);

	/* a new key replaces the old one; a new role the old role */
	m = (struct registry_member){
		.email = "ann@example.net", .account = one, .role = "collector", .new_key = true};
	assert_int_equal(registry_user_create(k->registry, &m, &third, NULL), 0);
	assert_true(third.key_new);
	assert_int_equal(by_key(k, "ann@example.net", first.key, &one).code, EC_EAUTH);
	a = by_key(k, "ann@example.net", third.key, &one);
	assert_int_equal(a.identity.permissions, PERM_READ | PERM_DOWNLOAD | PERM_COLLECT);
	kit_sql(k, "UPDATE users SET disabled = true WHERE id = '%s'", first.id.hex);
	assert_int_equal(by_key(k, "ann@example.net", third.key, &one).code, EC_EAUTH);
}

static void on_sampler(void *arg, const struct error *err, const struct jq_sampler *sampler)
{
	struct answer *a = arg;

	assert_int_equal(!err, sampler != NULL);
	a->code = err ? err->code : 0;
	(void)snprintf(a->reason, sizeof(a->reason), "%s", err ? err->text : "");
	if (sampler) {
		a->sampler = *sampler;
		(void)snprintf(a->name, sizeof(a->name), "%s", sampler->name);
		(void)snprintf(a->colo, sizeof(a->colo), "%s", sampler->colo);
	}
	a->done = true;
}

static struct answer by_sampler(struct kit *k, const char *token)
{
	struct answer a = {0};
	struct digest d = hash(token);

	jq_auth_sampler(k->api, &d, on_sampler, &a);
	kit_run_until(k, &a.done);
	return a;
}

static void test_sampler_is_known_by_its_token_while_enabled(void **state)
{
	struct kit *k = *state;
	char secret[SECRET_TEXT_BYTES];
	struct id id, same;

	assert_int_equal(
		registry_sampler_create(k->registry, "edge \"7\"", "ord01", &id, secret, NULL), 0);
	struct answer a = by_sampler(k, secret);
	assert_int_equal(a.code, 0);
	assert_true(id_equal(&a.sampler.id, &id));
	assert_string_equal(a.name, "edge \"7\"");
	assert_string_equal(a.colo, "ord01");
	assert_int_equal(by_sampler(k, "another").code, EC_EAUTH);
	assert_int_equal(registry_sampler_disable(k->registry, id.hex, true, &same, NULL), 0);
	a = by_sampler(k, secret);
	assert_refused(&a, "sampler", &id, "disabled");
	assert_int_equal(registry_sampler_disable(k->registry, "edge \"7\"", false, &same, NULL),
			 0);
	assert_true(id_equal(&id, &same));
	assert_int_equal(by_sampler(k, secret).code, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_token_is_seen_from_its_account),
		cmocka_unit_test(test_expired_and_revoked_tokens_are_unknown),
		cmocka_unit_test(test_the_reason_of_a_refusal),
		cmocka_unit_test(test_a_token_for_some_networks),
		cmocka_unit_test(test_key_of_a_user_in_two_accounts),
		cmocka_unit_test(test_sampler_is_known_by_its_token_while_enabled),
	};

	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
