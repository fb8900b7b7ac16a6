/* Answers that their clients do not take at once: how many there are, and which one goes for another (request.h). */
#include "api/request.h"
#include "api/request_lib.h"

static uint32_t held(const struct api_request *r, const struct id *account)
{
	return share_held(&r->server->shares[API_SHARE_ANSWERS], account);
}

/* One that waits for its client; who waits for us or the store is not slow himself. */
static bool waits_for_client(const struct api_conn *c)
{
	return c->state == CONN_BUSY && c->request && c->request->answered &&
	       *c->request->holders[API_SHARE_ANSWERS].hex && h2o_socket_is_writing(c->sock);
}

struct candidates {
	struct api_conn *own;  /* the oldest of the account that asks */
	struct api_conn *most; /* the oldest of an account that has the most */
	uint32_t most_held;
};

static struct candidates find(struct api_request *r, const struct id *account)
{
	struct candidates found = {.most_held = 0};

	/* in the order of age */
	for (struct api_conn *c = r->conn->listening->lists[CONNS_BUSY].first; c; c = c->next) {
		if (!waits_for_client(c))
			continue;
		const struct id *holder = &c->request->holders[API_SHARE_ANSWERS];
		uint32_t n = held(r, holder);
		if (n > found.most_held) {
			found.most = c;
			found.most_held = n;
		}
		if (!found.own && id_equal(holder, account))
			found.own = c;
	}
	return found;
}

static bool is_full(const struct api_server *s)
{
	return s->stats.answers >= s->config.answers_max;
}

/* Returns false when there is still none. at_any_cost: when no account has two more than this one, its own oldest goes, or anybody's. */
static bool make_room(struct api_request *r, const struct id *account, bool at_any_cost)
{
	struct candidates found = find(r, account);
	struct api_conn *c = found.most;

	if (found.most_held < held(r, account) + 2) {
		if (!at_any_cost)
			return false;
		c = found.own ? found.own : found.most;
	}
	if (!c)
		return false;
	r->server->stats.answers_yielded++;
	api_conn_close(c);
	return !is_full(r->server);
}

static bool take(struct api_request *r, bool at_any_cost)
{
	struct api_server *s = r->server;
	struct id account = r->holders[API_SHARE_ACCOUNT];

	if (!*account.hex || *r->holders[API_SHARE_ANSWERS].hex)
		return true;
	if (is_full(s) && !make_room(r, &account, at_any_cost) && !at_any_cost)
		return false;
	if (!api_request_share(r, API_SHARE_ANSWERS, &account, 1U << 31))
		return false;
	s->stats.answers++;
	return true;
}

bool api_request_reserve_answer(struct api_request *r)
{
	return take(r, false);
}

void api_answer_waits(struct api_request *r)
{
	(void)take(r, true);
}
