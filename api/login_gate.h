/* The way to a credential's look-up, for all listeners of the process: no failed login beyond its source's rate reaches the database.
 *
 * A credential that its source is not known for is looked up once, however many requests come with it at that moment: the others
 * wait. When it was right they go on to a look-up of their own (the account may be another), when it was wrong they are answered as
 * the first was; so a program that begins with a hundred requests at once is not taken for a hundred guesses. What was right
 * is still looked up by every request: nothing here keeps a credential good. Callbacks only, no I/O; on the API's loop.
 */
#pragma once

#include "api/login_rate.h"

struct login_gate;

/* failures, refill_ms: as login_rate_new. NULL without memory. Free with login_gate_free. */
struct login_gate *login_gate_new(uint32_t failures, uint32_t refill_ms) EC_MUST_CHECK;

/* Free; accepts NULL. No ticket may be under way. */
void login_gate_free(struct login_gate *gate);

enum login_pass {
	LOGIN_LOOK_UP, /* look it up, then login_gate_report */
	LOGIN_WRONG,   /* answer as for a wrong one: it was found to be so a moment ago */
	LOGIN_REFUSED, /* too many failures from this source */
	LOGIN_AWAY,    /* the look-up that it waited for could not be made */
};

/* retry_s: with LOGIN_REFUSED, 1 or more. */
typedef void (*login_pass_cb)(void *arg, enum login_pass pass, uint32_t retry_s);

/* One request's way through; its members are the gate's. It lives until its cb was called, and with LOGIN_LOOK_UP until it
 * was reported. */
struct login_ticket {
	struct login_key key;
	bool taken;                   /* a failure from the bucket */
	bool leads;                   /* others may wait for it */
	struct login_ticket *waiting; /* the latest that waits for it */
	struct login_ticket *next;    /* that waits as well */
	login_pass_cb cb;
	void *arg;
};

/* Who asks. */
struct login_attempt {
	const char *peer;                /* "192.0.2.1"; what is no address is an unknown source */
	const struct digest *credential; /* as login_rate_key */
	uint64_t now_ms;                 /* uv_now */
};

/* Ask for the way. cb is called once, from inside this call or, when it has to wait, later. attempt: borrowed for the call. */
void login_gate_ask(struct login_gate *gate, const struct login_attempt *attempt,
		    struct login_ticket *ticket, login_pass_cb cb, void *arg);

enum login_result {
	LOGIN_WAS_RIGHT,
	LOGIN_WAS_WRONG,
	LOGIN_WAS_AWAY, /* nobody could tell */
};

/* How the look-up ended. Calls the cb of those that waited for it. */
void login_gate_report(struct login_gate *gate, struct login_ticket *ticket,
		       enum login_result result, uint64_t now_ms);

/* After a report of LOGIN_WAS_RIGHT: whose requests those with this credential are. holder: copied. */
void login_gate_note(struct login_gate *gate, const struct login_ticket *ticket,
		     const struct id *holder);

/* Whose request it is, as was noted of its source and credential of late; false: not known. attempt: borrowed for the call. */
bool login_gate_holder(const struct login_gate *gate, const struct login_attempt *attempt,
		       struct id *ret);

/* Since the start. */
struct login_stats {
	uint64_t failed;  /* logins with wrong credentials */
	uint64_t refused; /* without having been looked at */
};

/* Counters for /metrics. */
void login_gate_stats(const struct login_gate *gate, struct login_stats *ret);

/* The address that a peer's text is; false for "unix" and the like. Pure. */
bool login_source(const char *peer, struct address *ret);
