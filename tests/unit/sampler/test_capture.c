#include "sampler/capture.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "packet/ledger.h"
#include "tests/support/packet_builder.h"
#include "tests/support/prng.h"
#include "tests/support/unit.h"

enum { POOL_BYTES = 8 * 1024 * 1024, SEQS_MAX = 20000, SHARES_MAX = 64 };

/* What came out of a stream. */
struct rig {
	struct capture c;
	struct chunk_pool *pool;
	uint32_t chunks, limits;
	uint64_t packets; /* in chunks */
	struct capture_command *answered;
	struct capture_job *limited;
	bool keep_chunks; /* do not give blocks back */
	uint32_t seq_count;
	uint32_t seqs[SEQS_MAX]; /* sequence numbers in chunks, in order, of job `watch` */
	struct capture_job *watch;
};

/* Sequence numbers are the last 4 bytes of a packet. */
static void read_seqs(struct rig *g, const struct chunk *chunk)
{
	struct bytes r = chunk_records(chunk);

	while (r.n > 0) {
		uint32_t total, captured;
		memcpy(&total, r.p + 4, 4);
		memcpy(&captured, r.p + 20, 4);
		assert_true(g->seq_count < SEQS_MAX);
		memcpy(&g->seqs[g->seq_count++], r.p + 28 + captured - 4, 4);
		r.p += total;
		r.n -= total;
	}
}

static void on_message(void *arg, struct message *m)
{
	struct rig *g = arg;
	struct chunk *chunk;

	switch (m->kind) {
	case MESSAGE_CHUNK:
		chunk = (struct chunk *)(void *)m;
		g->chunks++;
		g->packets += chunk->packets;
		if (chunk->owner == g->watch)
			read_seqs(g, chunk);
		if (!g->keep_chunks)
			chunk_pool_give(g->pool, chunk);
		break;
	case MESSAGE_COMMAND:
		g->answered = (struct capture_command *)(void *)m;
		break;
	case MESSAGE_LIMIT:
		g->limits++;
		g->limited = (struct capture_job *)(void *)m;
		break;
	}
}

static struct rig *rig_new(uint64_t pool_bytes)
{
	struct rig *g = calloc(1, sizeof(*g));
	g->pool = chunk_pool_new(pool_bytes, SHARES_MAX);
	capture_init(&g->c, LINK_RAW, g->pool, classifier_table_new(100), 1);
	capture_set_emit(&g->c, on_message, g);
	return g;
}

static void rig_free(struct rig *g)
{
	capture_fini(&g->c);
	chunk_pool_free(g->pool);
	free(g);
}

static struct capture_job_settings job_settings(void)
{
	static const struct filter every;
	static const struct scope all = {.unrestricted = true};
	return (struct capture_job_settings){
		.filter = &every,
		.scope = &all,
		.snaplen_bytes = 160,
		.end_ns = INT64_MAX,
		.chunk = {.interface = {.link_type = LINK_RAW, .snaplen_bytes = 160},
			  .chunk_bytes = 65536,
			  .age_ms = 1000},
	};
}

static int64_t insert(struct rig *g, struct capture_job *j, int64_t from_ns)
{
	struct capture_command command = {.kind = COMMAND_INSERT, .job = j, .from_ns = from_ns};
	capture_command(&g->c, &command);
	assert_ptr_equal(g->answered, &command);
	return command.at_ns;
}

static int64_t close_window(struct rig *g, struct capture_job *j, int64_t end_ns)
{
	struct capture_command command = {.kind = COMMAND_CLOSE, .job = j, .end_ns = end_ns};
	capture_command(&g->c, &command);
	assert_ptr_equal(g->answered, &command);
	return command.at_ns;
}

/* Take a job out now. Returns packets delivered to the stream. */
static uint64_t finish(struct rig *g, struct capture_job *j)
{
	struct capture_command command = {.kind = COMMAND_FINISH, .job = j};
	capture_command(&g->c, &command);
	capture_tick(&g->c, g->c.now_ms);
	assert_ptr_equal(g->answered, &command);
	return command.delivered;
}

static void make_packet(struct packet_builder *b, uint32_t seq, unsigned destination_port)
{
	*b = (struct packet_builder){0};
	put_ipv4(b, 17, 12);
	put_ports(b, 1000, destination_port);
	put(b, &seq, 4);
}

static void send(struct rig *g, int64_t ts_ns, uint32_t seq, unsigned destination_port)
{
	struct packet_builder b;
	make_packet(&b, seq, destination_port);
	capture_packet(&g->c, ts_ns, (uint32_t)b.n, packet_bytes(&b));
}

/* A job's ledger on this stream adds up. */
static void assert_adds_up(const struct capture_job *j, uint64_t delivered)
{
	const struct capture_counts *n = &j->counts;
	struct ledger l = {
		.accepted = delivered,
		.delivered = delivered,
		.matched = n->matched,
		.selected = n->selected,
		.captured = n->captured,
		.bytes = n->bytes,
		.dropped_spool = n->dropped_spool,
		.dropped_limit = n->dropped_limit,
	};
	struct error err = {0};
	if (ledger_check(&l, &err) != 0)
		fail_msg("%s", err.text);
}

static void test_window(void **state)
{
	struct rig *g = rig_new(POOL_BYTES);
	struct capture_job_settings s = job_settings();
	(void)state;

	s.end_ns = 200;
	struct capture_job *j = capture_job_new(&s);
	g->watch = j;
	send(g, 50, 0, 80); /* before the job was there */
	assert_int_equal(insert(g, j, 100), 100);
	send(g, 99, 1, 80);
	send(g, 100, 2, 80);
	send(g, 200, 3, 80);
	send(g, 201, 4, 80);
	send(g, 150, 5, 80); /* out of order, inside */
	assert_int_equal(finish(g, j), 6);
	assert_int_equal(g->seq_count, 3);
	assert_int_equal(g->seqs[0], 2);
	assert_int_equal(g->seqs[1], 3);
	assert_int_equal(g->seqs[2], 5);
	assert_int_equal(j->counts.matched, 3);
	assert_adds_up(j, 6);
	capture_job_free(j);
	rig_free(g);
}

/* A job cannot begin before what was seen already, nor be closed before it. */
static void test_window_follows_what_was_seen(void **state)
{
	struct rig *g = rig_new(POOL_BYTES);
	struct capture_job_settings s = job_settings();
	struct capture_job *j = capture_job_new(&s);
	(void)state;

	send(g, 1000, 0, 80);
	send(g, 900, 0, 80);
	assert_int_equal(insert(g, j, 950), 1001);
	send(g, 1000, 1, 80);
	send(g, 1001, 2, 80);
	send(g, 1500, 3, 80);
	assert_int_equal(close_window(g, j, 1200), 1500);
	send(g, 1501, 4, 80);
	send(g, 1499, 5, 80);
	assert_int_equal(close_window(g, j, 3000), 1500); /* the first word counts */
	finish(g, j);
	assert_int_equal(j->counts.captured, 3);
	capture_job_free(j);
	rig_free(g);
}

static void test_packet_limit(void **state)
{
	struct rig *g = rig_new(POOL_BYTES);
	struct capture_job_settings s = job_settings();
	(void)state;

	s.packet_limit = 10;
	struct capture_job *j = capture_job_new(&s);
	insert(g, j, 0);
	for (uint32_t i = 0; i < 9; i++)
		send(g, 100 + i, i, 80);
	assert_int_equal(g->limits, 0);
	send(g, 200, 9, 80);
	assert_int_equal(g->limits, 1);
	assert_ptr_equal(g->limited, j);
	assert_false(j->byte_limit_reached);
	for (uint32_t i = 0; i < 5; i++)
		send(g, 300 + i, i, 80);
	assert_int_equal(g->limits, 1);
	close_window(g, j, 302); /* the last seen is 304 */
	send(g, 305, 0, 80);
	uint64_t delivered = finish(g, j);
	assert_int_equal(j->counts.captured, 10);
	assert_int_equal(j->counts.dropped_limit, 5);
	assert_int_equal(g->packets, 10);
	assert_adds_up(j, delivered);
	capture_job_free(j);
	rig_free(g);
}

static void test_byte_limit(void **state)
{
	struct rig *g = rig_new(POOL_BYTES);
	struct capture_job_settings s = job_settings();
	(void)state;

	s.byte_limit = 100; /* packets have 32 bytes */
	s.packet_limit = 50;
	struct capture_job *j = capture_job_new(&s);
	insert(g, j, 0);
	for (uint32_t i = 0; i < 20; i++)
		send(g, 100 + i, i, 80);
	assert_int_equal(g->limits, 1);
	assert_true(j->byte_limit_reached);
	uint64_t delivered = finish(g, j);
	assert_int_equal(j->counts.captured, 3);
	assert_int_equal(j->counts.bytes, 96);
	assert_int_equal(j->counts.dropped_limit, 17);
	assert_adds_up(j, delivered);
	capture_job_free(j);
	rig_free(g);
}

static void test_snaplen(void **state)
{
	struct rig *g = rig_new(POOL_BYTES);
	struct capture_job_settings s = job_settings();
	(void)state;

	s.snaplen_bytes = 30;
	struct capture_job *j = capture_job_new(&s);
	insert(g, j, 0);
	send(g, 1, 1, 80);
	g->keep_chunks = true;
	finish(g, j);
	assert_int_equal(j->counts.bytes, 30);
	capture_job_free(j);
	rig_free(g);
}

static void test_age(void **state)
{
	struct rig *g = rig_new(POOL_BYTES);
	struct capture_job_settings s = job_settings();
	struct capture_job *j = capture_job_new(&s);
	(void)state;

	insert(g, j, 0);
	capture_tick(&g->c, 5000);
	assert_int_equal(capture_due_ms(&g->c), UINT64_MAX);
	send(g, 1, 1, 80);
	assert_int_equal(capture_due_ms(&g->c), 6000);
	capture_tick(&g->c, 5999);
	assert_int_equal(g->chunks, 0);
	capture_tick(&g->c, 6000);
	assert_int_equal(g->chunks, 1);
	assert_int_equal(capture_due_ms(&g->c), UINT64_MAX);
	capture_tick(&g->c, 9000);
	assert_int_equal(g->chunks, 1);
	finish(g, j);
	assert_int_equal(g->chunks, 1);
	capture_job_free(j);
	rig_free(g);
}

/* A job is out when as many packets were seen as the kernel had accepted, or when waiting is over, or at the end. */
static void test_finish_waits(void **state)
{
	struct rig *g = rig_new(POOL_BYTES);
	struct capture_job_settings s = job_settings();
	struct capture_job *j[3];
	struct capture_command command[3];
	static const uint64_t target[] = {3, 1000, 1000}, deadline_ms[] = {900, 500, 900};
	(void)state;

	for (int i = 0; i < 3; i++) {
		j[i] = capture_job_new(&s);
		insert(g, j[i], 0);
	}
	capture_tick(&g->c, 100);
	send(g, 1, 1, 80);
	for (int i = 0; i < 3; i++) {
		command[i] = (struct capture_command){.kind = COMMAND_FINISH,
						      .job = j[i],
						      .target = target[i],
						      .deadline_ms = deadline_ms[i]};
		capture_command(&g->c, &command[i]);
	}
	g->answered = NULL;
	assert_int_equal(capture_due_ms(&g->c), 500);
	capture_tick(&g->c, 200);
	assert_null(g->answered);
	send(g, 2, 2, 80);
	send(g, 3, 3, 80);
	capture_tick(&g->c, 300);
	assert_ptr_equal(g->answered, &command[0]);
	assert_int_equal(j[0]->counts.captured, 3);
	assert_int_equal(command[0].delivered, 3);
	capture_tick(&g->c, 500);
	assert_ptr_equal(g->answered, &command[1]);
	send(g, 4, 4, 80);
	capture_end_input(&g->c);
	capture_tick(&g->c, 501);
	assert_ptr_equal(g->answered, &command[2]);
	assert_int_equal(j[1]->counts.captured, 3);
	assert_int_equal(j[2]->counts.captured, 4);
	for (int i = 0; i < 3; i++)
		capture_job_free(j[i]);
	rig_free(g);
}

static void test_rescope(void **state)
{
	struct rig *g = rig_new(POOL_BYTES);
	struct capture_job_settings s = job_settings();
	struct prefix mine = {.addr = {ADDRESS_V4, {10, 1}},
			      .len = 16}; /* packets are from 10.1.2.3 */
	struct scope small, none = {0};
	(void)state;

	assert_int_equal(scope_init(&small, false, &mine, 1), 0);
	s.scope = &none;
	struct capture_job *j = capture_job_new(&s);
	insert(g, j, 0);
	send(g, 1, 1, 80);
	struct capture_command command = {.kind = COMMAND_RESCOPE,
					  .job = j,
					  .rule = capture_rule_new(s.filter, &small, j),
					  .table = classifier_table_new(1000)};
	capture_command(&g->c, &command);
	classifier_table_free(command.old_table);
	capture_rule_free(command.rule);
	send(g, 2, 2, 80);
	command = (struct capture_command){
		.kind = COMMAND_RESCOPE, .job = j, .rule = capture_rule_new(s.filter, &none, j)};
	capture_command(&g->c, &command);
	assert_null(command.old_table);
	capture_rule_free(command.rule);
	send(g, 3, 3, 80);
	g->watch = j;
	finish(g, j);
	assert_int_equal(g->seq_count, 1);
	assert_int_equal(g->seqs[0], 2);
	scope_fini(&small);
	capture_job_free(j);
	rig_free(g);
}

static void own(struct rig *g, enum capture_command_kind kind, const struct flow *f)
{
	struct capture_command command = {.kind = kind, .tuple = tuple_of_flow(f)};
	capture_command(&g->c, &command);
}

static void test_own_connections(void **state)
{
	struct rig *g = rig_new(POOL_BYTES);
	struct capture_job_settings s = job_settings();
	struct capture_job *j = capture_job_new(&s);
	struct packet_builder there = {0}, back = {0}, udp = {0};
	struct flow f, r;
	(void)state;

	insert(g, j, 0);
	put_ipv4(&there, 6, 8);
	put_ports(&there, 40000, 443);
	put_ipv4(&back, 6, 8);
	put_ports(&back, 443, 40000);
	memcpy(back.p + 12, there.p + 16, 4);
	memcpy(back.p + 16, there.p + 12, 4);
	put_ipv4(&udp, 17, 8);
	put_ports(&udp, 40000, 443);
	assert_int_equal(flow_parse(LINK_RAW, packet_bytes(&there), &f), 0);
	assert_int_equal(flow_parse(LINK_RAW, packet_bytes(&back), &r), 0);
	own(g, COMMAND_OWN_ADD, &f);
	own(g, COMMAND_OWN_ADD, &r);
	capture_packet(&g->c, 1, 28, packet_bytes(&there));
	capture_packet(&g->c, 2, 28, packet_bytes(&back));
	assert_int_equal(j->counts.matched, 0);
	capture_packet(&g->c, 3, 28, packet_bytes(&udp));
	there.p[21]++; /* the next port is somebody else's */
	capture_packet(&g->c, 4, 28, packet_bytes(&there));
	there.p[21]--;
	assert_int_equal(j->counts.matched, 2);
	own(g, COMMAND_OWN_REMOVE, &f);
	capture_packet(&g->c, 5, 28, packet_bytes(&there));
	capture_packet(&g->c, 6, 28, packet_bytes(&back));
	assert_int_equal(j->counts.matched, 3);
	assert_adds_up(j, finish(g, j));
	capture_job_free(j);
	rig_free(g);
}

/* Packets that claim to be shorter than they are stay valid records. */
static void test_lying_wire_length(void **state)
{
	struct rig *g = rig_new(POOL_BYTES);
	struct capture_job_settings s = job_settings();
	struct capture_job *j = capture_job_new(&s);
	struct packet_builder b;
	(void)state;

	insert(g, j, 0);
	make_packet(&b, 1, 80);
	capture_packet(&g->c, 1, 3, packet_bytes(&b));
	uint32_t wire;
	memcpy(&wire, chunk_records(j->writer.open).p + 24, 4);
	assert_int_equal(wire, b.n);
	finish(g, j);
	capture_job_free(j);
	rig_free(g);
}

/* Jobs come and go at random under selection, limits and a pool that is too small: every ledger adds up, and the one job that stays
 * loses nothing. */
static void test_churn(void **state)
{
	enum { JOBS = 40 };
	static const char *const methods[] = {"none", "systematic-count:2/3",
					      "uniform-probabilistic:0.3", "hash:0.5"};
	struct prng r = prng_start("capture churn");
	struct rig *g = rig_new(256 * 1024);
	struct capture_job_settings s = job_settings();
	struct capture_job *jobs[JOBS] = {0};
	struct filter ports = {.fields = FILTER_DESTINATION_PORT, .destination_port = 7};
	uint64_t drops = 0, limits = 0, finished = 0;
	(void)state;

	s.filter = &ports;
	struct capture_job *steady = capture_job_new(&s);
	insert(g, steady, 0);
	g->watch = steady;
	for (uint32_t i = 0; i < 10000; i++) {
		size_t k = (size_t)prng_below(&r, JOBS);
		if (jobs[k] && prng_one_in(&r, 10)) {
			close_window(g, jobs[k], (int64_t)i);
			assert_adds_up(jobs[k], finish(g, jobs[k]));
			drops += jobs[k]->counts.dropped_spool;
			limits += jobs[k]->counts.dropped_limit;
			finished++;
			capture_job_free(jobs[k]);
			jobs[k] = NULL;
		} else if (!jobs[k]) {
			struct capture_job_settings random = job_settings();
			struct filter f = {.fields = FILTER_DESTINATION_PORT,
					   .destination_port = (uint16_t)prng_below(&r, 8)};
			struct error err = {0};
			random.filter = &f;
			random.packet_limit = prng_below(&r, 200);
			random.byte_limit = prng_below(&r, 9000);
			random.seed = prng_u64(&r);
			assert_int_equal(
				selection_parse(bytes_of(methods[i % 4]), &random.selection, &err),
				0);
			jobs[k] = capture_job_new(&random);
			insert(g, jobs[k], (int64_t)i);
		}
		send(g, (int64_t)i, i, 7);
		send(g, (int64_t)i, i, (unsigned)prng_below(&r, 7));
		if (prng_one_in(&r, 100))
			capture_tick(&g->c, i);
	}
	uint64_t delivered = finish(g, steady);
	assert_int_equal(delivered, 20000);
	assert_int_equal(steady->counts.captured + steady->counts.dropped_spool, 10000);
	assert_int_equal(steady->counts.captured, g->seq_count);
	for (uint32_t i = 1; i < g->seq_count && steady->counts.dropped_spool == 0; i++)
		assert_int_equal(g->seqs[i], g->seqs[i - 1] + 1);
	assert_int_equal(g->seqs[0], 0);
	assert_true(finished > 100 && limits > 0);
	(void)drops;
	capture_job_free(steady);
	for (size_t k = 0; k < JOBS; k++) {
		if (jobs[k])
			finish(g, jobs[k]);
		capture_job_free(jobs[k]);
	}
	assert_int_equal(chunk_pool_used_bytes(g->pool), 0);
	rig_free(g);
}

/* Nobody gives blocks back: what cannot be kept is counted, and nothing else happens. */
static void test_no_buffers(void **state)
{
	struct rig *g = rig_new(16 * 1024);
	struct capture_job_settings s = job_settings();
	struct capture_job *j = capture_job_new(&s);
	(void)state;

	g->keep_chunks = true;
	insert(g, j, 0);
	for (uint32_t i = 0; i < 1000; i++)
		send(g, i, i, 80);
	uint64_t delivered = finish(g, j);
	assert_true(j->counts.dropped_spool > 500);
	assert_true(j->counts.captured > 100);
	assert_int_equal(g->packets, j->counts.captured);
	assert_adds_up(j, delivered);
	capture_job_free(j);
	rig_free(g);
}

static void test_published(void **state)
{
	struct rig *g = rig_new(POOL_BYTES);
	struct capture_job_settings s = job_settings();
	struct capture_job *j = capture_job_new(&s);
	struct capture_counts n;
	(void)state;

	insert(g, j, 0);
	send(g, 1, 1, 80);
	assert_true(capture_counts_read(&j->published, &n));
	assert_int_equal(n.captured, 0);
	capture_tick(&g->c, 1);
	assert_true(capture_counts_read(&j->published, &n));
	assert_int_equal(n.captured, 1);
	assert_int_equal(capture_delivered(&g->c), 1);
	atomic_store(&j->published.version, 7); /* a writer in the middle */
	assert_false(capture_counts_read(&j->published, &n));
	finish(g, j);
	capture_job_free(j);
	rig_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_window_follows_what_was_seen),
		cmocka_unit_test(test_packet_limit),
		cmocka_unit_test(test_byte_limit),
		cmocka_unit_test(test_snaplen),
		cmocka_unit_test(test_age),
		cmocka_unit_test(test_finish_waits),
		cmocka_unit_test(test_rescope),
		cmocka_unit_test(test_own_connections),
		cmocka_unit_test(test_lying_wire_length),
		cmocka_unit_test(test_churn),
		cmocka_unit_test(test_no_buffers),
		cmocka_unit_test(test_published),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
