#include "api/edge_auth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/auth.h"
#include "base/id_map.h"
#include "base/limits.h"

enum { TEXT_BYTES = LIMIT_NAME_BYTES + 1 };

struct entry {
	struct digest token;
	uint64_t until_ms;
	struct id id;
	char name[TEXT_BYTES], colo[TEXT_BYTES];
};

/* entries: by the first half of the token's digest. */
struct edge_auth {
	struct jq *jq;
	struct login_gate *logins;
	struct id_map entries;
	uint64_t generation; /* rises when something is forgotten */
	uint32_t lookups;    /* under way */
	bool closed;         /* freed with the last of them */
	struct edge_auth_stats stats;
};

void edge_auth_stats_get(const struct edge_auth *a, struct edge_auth_stats *ret)
{
	*ret = a->stats;
}

/* A look-up under way. */
struct lookup {
	struct edge_auth *auth;
	struct digest token;
	uint64_t generation; /* when it began */
	uint64_t now_ms;
	struct login_ticket ticket;
	edge_check_cb cb;
	void *arg;
};

/* A request that waits for it; in the request's arena. */
struct asker {
	struct api_request *request;
	edge_auth_cb cb;
	void *arg;
};

struct edge_auth *edge_auth_new(struct jq *jq, struct login_gate *logins)
{
	struct edge_auth *a = calloc(1, sizeof(*a));
	if (a) {
		a->jq = jq;
		a->logins = logins;
	}
	return a;
}

static void forget_all(struct edge_auth *a)
{
	size_t pos = 0;
	for (struct entry *e; (e = id_map_next(&a->entries, &pos));)
		free(e);
	id_map_fini(&a->entries);
}

/* A sampler has one entry for each token that it has shown of late, and operators change few. */
static void forget_one(struct edge_auth *a, const struct id *sampler)
{
	size_t pos = 0;
	for (struct entry *e; (e = id_map_next(&a->entries, &pos));) {
		if (!id_equal(&e->id, sampler))
			continue;
		struct id key = id_of_bits(e->token.b);
		free(id_map_remove(&a->entries, &key));
		pos = 0;
	}
}

void edge_auth_forget(struct edge_auth *a, const struct id *sampler)
{
	a->generation++;
	if (sampler)
		forget_one(a, sampler);
	else
		forget_all(a);
}

void edge_auth_free(struct edge_auth *a)
{
	if (!a)
		return;
	edge_auth_forget(a, NULL);
	a->closed = true;
	if (a->lookups == 0)
		free(a);
}

/* Remember a token that was right. Without memory it is looked up again next time. */
static void entry_remember(const struct lookup *l, const struct jq_sampler *sampler)
{
	struct id key = id_of_bits(l->token.b);
	struct entry *e = id_map_get(&l->auth->entries, &key);
	if (!e) {
		e = calloc(1, sizeof(*e));
		if (!e || id_map_put(&l->auth->entries, &key, e)) {
			free(e);
			return;
		}
	}
	e->token = l->token;
	e->until_ms = l->now_ms + EDGE_AUTH_TTL_MS;
	e->id = sampler->id;
	(void)snprintf(e->name, sizeof(e->name), "%s", sampler->name);
	(void)snprintf(e->colo, sizeof(e->colo), "%s", sampler->colo);
}

static void identify(struct api_request *r, const struct jq_sampler *sampler)
{
	char actor[TEXT_BYTES + 8];
	(void)snprintf(actor, sizeof(actor), "sampler:%s", sampler->name);
	struct api_identity identity = {.credential = sampler->id, .actor = actor};
	api_request_identify(r, &identity);
}

/* The last that happens to a look-up. */
static void finish(struct lookup *l, const struct jq_sampler *sampler,
		   const struct edge_refusal *why)
{
	struct edge_auth *a = l->auth;
	l->cb(l->arg, sampler, why);
	free(l);
	if (--a->lookups == 0 && a->closed)
		free(a);
}

static void turn_away(struct lookup *l, enum login_pass pass, uint32_t retry_s, const char *reason)
{
	struct edge_refusal why = {.row = API_OVERLOADED, .reason = reason};
	switch (pass) {
	case LOGIN_LOOK_UP:
		EC_ASSERT(false);
	case LOGIN_WRONG:
		why.row = API_UNAUTHENTICATED;
		break;
	case LOGIN_REFUSED:
		why.row = API_TOO_MANY;
		why.text = "Too many failed logins from your address";
		why.retry_s = retry_s;
		break;
	case LOGIN_AWAY:
		why.text = "The database is not available; try again";
		break;
	}
	finish(l, NULL, &why);
}

static void on_sampler(void *arg, const struct error *err, const struct jq_sampler *sampler);

static void look_up(struct lookup *l)
{
	l->generation = l->auth->generation;
	l->auth->stats.lookups++;
	jq_auth_sampler(l->auth->jq, &l->token, on_sampler, l);
}

static void on_sampler(void *arg, const struct error *err, const struct jq_sampler *sampler)
{
	struct lookup *l = arg;
	struct edge_auth *a = l->auth;
	enum login_result result = api_auth_result(err);
	if (sampler && !a->closed && l->generation != a->generation) {
		/* a sampler was changed meanwhile, and this may be the answer from before */
		look_up(l);
		return;
	}
	login_gate_report(a->logins, &l->ticket, result, l->now_ms);
	if (a->closed) {
		turn_away(l, LOGIN_AWAY, 0, NULL);
	} else if (sampler) {
		if (sampler->old_token)
			a->stats.old_tokens++;
		else
			entry_remember(l, sampler);
		finish(l, sampler, NULL);
	} else if (result == LOGIN_WAS_WRONG) {
		turn_away(l, LOGIN_WRONG, 0, err->text);
	} else {
		turn_away(l, LOGIN_AWAY, 0, NULL);
	}
}

static void on_pass(void *arg, enum login_pass pass, uint32_t retry_s)
{
	struct lookup *l = arg;
	if (pass == LOGIN_LOOK_UP)
		look_up(l);
	else
		turn_away(l, pass, retry_s, NULL);
}

/* A sampler's token is another credential than a tenant's with the same text. */
static struct digest credential_of(const struct digest *token)
{
	char text[DIGEST_HEX_BYTES + sizeof("sampler ")];
	char hex[DIGEST_HEX_BYTES];
	digest_hex(token, hex);
	(void)snprintf(text, sizeof(text), "sampler %s", hex);
	return digest_sha256(bytes_of(text));
}

/* The token of "Bearer <token>". Returns 0, EC_ENOTFOUND (no header) or EC_EFORMAT. */
static int bearer_token(const struct credential_header *header, struct bytes *ret)
{
	static const char scheme[] = "Bearer ";
	struct bytes value = header->value;
	if (header->count == 0)
		return EC_ENOTFOUND;
	size_t n = sizeof(scheme) - 1;
	if (header->count > 1 || value.n <= n || value.n - n > LIMIT_CREDENTIAL_BYTES ||
	    strncasecmp((const char *)value.p, scheme, n) != 0)
		return EC_EFORMAT;
	*ret = (struct bytes){value.p + n, value.n - n};
	return 0;
}

void edge_auth_check(struct edge_auth *a, const struct edge_attempt *attempt, edge_check_cb cb,
		     void *arg)
{
	struct bytes token;
	int rc = bearer_token(&attempt->authorization, &token);
	if (rc) {
		struct edge_refusal why = {.row = API_MALFORMED};
		if (rc == EC_ENOTFOUND)
			why = (struct edge_refusal){.row = API_NO_CREDENTIALS,
						    .text = "Authorization is required"};
		cb(arg, NULL, &why);
		return;
	}
	struct digest digest = digest_sha256(token);
	struct id key = id_of_bits(digest.b);
	const struct entry *e = id_map_get(&a->entries, &key);
	if (e && attempt->now_ms < e->until_ms &&
	    digest_equal(&e->token, &digest, sizeof(digest))) {
		struct jq_sampler sampler = {.id = e->id, .name = e->name, .colo = e->colo};
		cb(arg, &sampler, NULL);
		return;
	}
	struct lookup *l = calloc(1, sizeof(*l));
	if (!l) {
		cb(arg, NULL, &(struct edge_refusal){.row = API_OVERLOADED});
		return;
	}
	*l = (struct lookup){
		.auth = a, .token = digest, .now_ms = attempt->now_ms, .cb = cb, .arg = arg};
	a->lookups++;
	struct digest credential = credential_of(&digest);
	struct login_attempt login = {attempt->peer, &credential, attempt->now_ms};
	login_gate_ask(a->logins, &login, &l->ticket, on_pass, l);
}

static void on_checked(void *arg, const struct jq_sampler *sampler, const struct edge_refusal *why)
{
	struct asker *asker = arg;
	struct api_request *r = asker->request;
	if (sampler) {
		identify(r, sampler);
		asker->cb(asker->arg, r, sampler);
		return;
	}
	if (why->reason)
		api_auth_log_failure(r, why->reason);
	if (why->retry_s > 0)
		api_answer_busy(r, why->row, why->retry_s, why->text ? "%s" : NULL, why->text);
	else
		api_answer_error(r, why->row, why->text ? "%s" : NULL, why->text);
}

void edge_auth_request(struct edge_auth *a, struct api_request *r, uint64_t now_ms, edge_auth_cb cb,
		       void *arg)
{
	struct edge_attempt attempt = {.peer = api_request_peer(r), .now_ms = now_ms};
	struct asker *asker = arena_alloc(api_request_arena(r), sizeof(*asker));
	if (!asker) {
		api_answer_error(r, API_OVERLOADED, NULL);
		return;
	}
	*asker = (struct asker){r, cb, arg};
	attempt.authorization.count =
		api_request_header(r, "authorization", &attempt.authorization.value);
	edge_auth_check(a, &attempt, on_checked, asker);
}
