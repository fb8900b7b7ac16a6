#include "kit.h"

struct id kit_bucket(struct kit *k, const struct id *account, const char *destination,
		     bool validated)
{
	struct id id = id_new_v7(clock_wall_now_us());

	kit_sql(k,
		"INSERT INTO buckets (account_id, id, destination, validated, filename, submitted,"
		" token_sha256, expires) VALUES ('%s', '%s', '%s', %s, 'challenge.txt', now(),"
		" sha256('x'), now() + interval '7 days')",
		account->hex, id.hex, destination, validated ? "now()" : "NULL");
	return id;
}

struct id kit_full_account(struct kit *k, uint32_t running_max, uint32_t full_running_max)
{
	struct id account = kit_account(k, 3600, running_max, "192.0.2.0/24");

	kit_sql(k, "UPDATE accounts SET full_running_max = %u WHERE id = '%s'", full_running_max,
		account.hex);
	(void)kit_bucket(k, &account, KIT_DESTINATION, true);
	return account;
}

struct jq_submit kit_full_request(const struct id *account, const char *colo)
{
	struct jq_submit request = kit_request(account);

	request.type = JOB_FULL;
	request.packet_limit = 0;
	request.colo_name = colo;
	request.destination = KIT_DESTINATION;
	request.selection = (struct selection){.method = SELECT_NONE};
	return request;
}

struct job kit_full_created(struct kit *k, const struct id *account, const char *colo)
{
	struct jq_submit request = kit_full_request(account, colo);
	struct kit_submitted s = {0};

	assert_int_equal(kit_submit(k, k->api, &request, &s), 0);
	assert_int_equal(s.outcome, JQ_SUBMIT_CREATED);
	return s.job;
}

enum jq_submit_outcome kit_outcome(struct kit *k, const struct jq_submit *request)
{
	struct kit_submitted s = {0};

	assert_int_equal(kit_submit(k, k->api, request, &s), 0);
	return s.outcome;
}

void kit_force_stage(struct kit *k, const struct job *job, enum job_stage stage)
{
	kit_sql(k,
		"SET session_replication_role = replica;"
		"UPDATE pcaps SET stage = '%s' WHERE id = '%s';"
		"SET session_replication_role = origin",
		job_stage_text(stage), job->id.hex);
}
