#include "api/login_gate.h"

#include <stdlib.h>

#include "base/id_map.h"

/* leaders: tickets whose look-up is under way, by their pair. As many as there are requests, at the most. */
struct login_gate {
	struct login_rate *rate;
	struct id_map leaders;
	struct login_stats stats;
};

struct login_gate *login_gate_new(uint32_t failures, uint32_t refill_ms)
{
	struct login_gate *gate = calloc(1, sizeof(*gate));

	if (!gate)
		return NULL;
	gate->rate = login_rate_new(failures, refill_ms);
	if (gate->rate)
		return gate;
	free(gate);
	return NULL;
}

void login_gate_free(struct login_gate *gate)
{
	if (!gate)
		return;
	id_map_fini(&gate->leaders);
	login_rate_free(gate->rate);
	free(gate);
}

bool login_source(const char *peer, struct address *ret)
{
	return address_parse(bytes_of(peer), ret) == 0;
}

static struct login_key key_of(const struct login_gate *gate, const struct login_attempt *attempt)
{
	struct address source;
	bool known = login_source(attempt->peer, &source);

	return login_rate_key(gate->rate, known ? &source : NULL, attempt->credential);
}

void login_gate_note(struct login_gate *gate, const struct login_ticket *ticket,
		     const struct id *holder)
{
	login_rate_note(gate->rate, &ticket->key, holder);
}

bool login_gate_holder(const struct login_gate *gate, const struct login_attempt *attempt,
		       struct id *ret)
{
	struct login_key key = key_of(gate, attempt);

	return login_rate_holder(gate->rate, &key, attempt->now_ms, ret);
}

void login_gate_ask(struct login_gate *gate, const struct login_attempt *attempt,
		    struct login_ticket *ticket, login_pass_cb cb, void *arg)
{
	*ticket = (struct login_ticket){.cb = cb, .arg = arg, .key = key_of(gate, attempt)};
	if (login_rate_knows(gate->rate, &ticket->key, attempt->now_ms)) {
		cb(arg, LOGIN_LOOK_UP, 0);
		return;
	}
	struct id name = id_of_bits(ticket->key.pair);
	struct login_ticket *leader = id_map_get(&gate->leaders, &name);
	if (leader) {
		ticket->next = leader->waiting;
		leader->waiting = ticket;
		return;
	}
	uint32_t retry_s = login_rate_take(gate->rate, &ticket->key, attempt->now_ms);
	if (retry_s > 0) {
		gate->stats.refused++;
		cb(arg, LOGIN_REFUSED, retry_s);
		return;
	}
	ticket->taken = true;
	/* without memory nobody waits for it, that is all */
	ticket->leads = id_map_put(&gate->leaders, &name, ticket) == 0;
	cb(arg, LOGIN_LOOK_UP, 0);
}

/* In the order in which they came; the list begins with the latest. */
static struct login_ticket *reversed(struct login_ticket *list)
{
	struct login_ticket *ret = NULL;

	while (list) {
		struct login_ticket *next = list->next;
		list->next = ret;
		ret = list;
		list = next;
	}
	return ret;
}

void login_gate_report(struct login_gate *gate, struct login_ticket *ticket,
		       enum login_result result, uint64_t now_ms)
{
	static const enum login_pass passes[] = {
		[LOGIN_WAS_RIGHT] = LOGIN_LOOK_UP,
		[LOGIN_WAS_WRONG] = LOGIN_WRONG,
		[LOGIN_WAS_AWAY] = LOGIN_AWAY,
	};
	struct login_key key = ticket->key;
	struct login_ticket *waiting = reversed(ticket->waiting);

	if (ticket->leads) {
		struct id name = id_of_bits(key.pair);
		const struct login_ticket *leader = id_map_remove(&gate->leaders, &name);
		EC_ASSERT(leader == ticket);
	}
	if (result == LOGIN_WAS_WRONG) {
		gate->stats.failed++;
		login_rate_forget(gate->rate, &key);
		if (!ticket->taken)
			login_rate_charge(gate->rate, &key, now_ms);
	} else if (ticket->taken) {
		login_rate_give_back(gate->rate, &key, now_ms);
	}
	if (result == LOGIN_WAS_RIGHT)
		login_rate_remember(gate->rate, &key, now_ms);
	/* a ticket may be gone once its cb is called */
	for (struct login_ticket *w = waiting, *next = NULL; w; w = next) {
		next = w->next;
		if (result == LOGIN_WAS_WRONG) {
			gate->stats.failed++;
			login_rate_charge(gate->rate, &key, now_ms);
		}
		w->cb(w->arg, passes[result], 0);
	}
}

void login_gate_stats(const struct login_gate *gate, struct login_stats *ret)
{
	*ret = gate->stats;
}
