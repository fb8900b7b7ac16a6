#include "sampler/upload.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "packet/pcapng.h"
#include "sampler/http_client.h"
#include "sampler/part.h"
#include "sampler/spool.h"
#include "sampler/spool_io.h"
#include "tests/support/http_script_server.h"
#include "tests/support/temp_dir.h"
#include "tests/support/unit.h"

/* No connection has to be excluded from capture here, and no chunk comes from an engine. */
int engine_own_add(struct engine *e, const struct engine_own_flow *flow)
{
	(void)e;
	(void)flow;
	return 0;
}

void engine_own_remove(struct engine *e, const struct engine_own_flow *flow)
{
	(void)e;
	(void)flow;
}

static void test_outcomes_of_statuses(void **state)
{
	static const struct {
		int status;
		enum upload_outcome outcome;
	} cases[] = {
		{200, UPLOAD_STORED},   {201, UPLOAD_STORED},   {204, UPLOAD_STORED},
		{301, UPLOAD_REFUSED},  {302, UPLOAD_REFUSED},  {400, UPLOAD_REFUSED},
		{401, UPLOAD_REFUSED},  {403, UPLOAD_REFUSED},  {404, UPLOAD_REFUSED},
		{408, UPLOAD_AGAIN},    {409, UPLOAD_CONFLICT}, {410, UPLOAD_REFUSED},
		{412, UPLOAD_CONFLICT}, {413, UPLOAD_REFUSED},  {429, UPLOAD_AGAIN},
		{500, UPLOAD_AGAIN},    {502, UPLOAD_AGAIN},    {503, UPLOAD_AGAIN},
		{507, UPLOAD_AGAIN},    {599, UPLOAD_AGAIN},
	};
	struct digest d = digest_sha256(bytes_of("chunk"));

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(upload_outcome_of(cases[i].status, "", &d, false),
				 cases[i].outcome);
}

static void test_a_taken_key_with_our_bytes_is_stored(void **state)
{
	struct digest ours = digest_sha256(bytes_of("chunk"));
	struct digest other = digest_sha256(bytes_of("another"));
	char hex[DIGEST_HEX_BYTES], etag[DIGEST_HEX_BYTES + 2];

	(void)state;
	digest_hex(&ours, hex);
	(void)snprintf(etag, sizeof(etag), "\"%s\"", hex);
	assert_int_equal(upload_outcome_of(409, etag, &ours, false), UPLOAD_STORED);
	assert_int_equal(upload_outcome_of(412, etag, &ours, false), UPLOAD_STORED);
	assert_int_equal(upload_outcome_of(409, etag, &other, false), UPLOAD_CONFLICT);
	assert_int_equal(upload_outcome_of(409, hex, &ours, false), UPLOAD_CONFLICT);
	assert_int_equal(upload_outcome_of(500, etag, &ours, false), UPLOAD_AGAIN);
}

/* S3 has ETags of its own, and a repeated PUT replaces: nothing that it says ends a chunk. */
static void test_s3_never_conflicts(void **state)
{
	struct digest d = digest_sha256(bytes_of("chunk"));
	static const char etag[] = "\"d41d8cd98f00b204e9800998ecf8427e\"";

	(void)state;
	assert_true(upload_url_is_s3("https://b.s3.example/k?X-Amz-Date=1&X-Amz-Signature=0a"));
	assert_false(upload_url_is_s3("http://api/edge/v1/objects/k?expires=1&max=2&sig=0a"));
	assert_false(upload_url_is_s3("http://api/X-Amz-Signature=/k"));
	assert_int_equal(upload_outcome_of(200, etag, &d, true), UPLOAD_STORED);
	assert_int_equal(upload_outcome_of(409, "", &d, true), UPLOAD_AGAIN);
	assert_int_equal(upload_outcome_of(412, etag, &d, true), UPLOAD_AGAIN);
	assert_int_equal(upload_outcome_of(403, "", &d, true), UPLOAD_REFUSED); /* expired */
	assert_int_equal(upload_outcome_of(503, "", &d, true), UPLOAD_AGAIN);
}

static void test_outcomes_have_names(void **state)
{
	(void)state;
	assert_string_equal(upload_outcome_text(UPLOAD_STORED), "stored");
	assert_string_equal(upload_outcome_text(UPLOAD_LOST), "lost");
}

enum { CHUNKS = 8 };

struct fixture {
	char path[TEMP_DIR_BYTES];
	uv_loop_t loop;
	struct script_server server;
	struct http_client *http;
	struct spool *spool;
	struct upload *upload;
	struct part *part;
	struct buf chunk;
	const char *url; /* every chunk goes here */
	unsigned done[UPLOAD_LOST + 1];
	unsigned most_busy;
};

static struct part_chunk *next(void *arg, uint64_t now_ms, const char **ret_url,
			       uint64_t *ret_wake_ms)
{
	struct fixture *f = arg;
	struct part_chunk *c = NULL;

	*ret_wake_ms = UINT64_MAX;
	*ret_url = f->url;
	TAILQ_FOREACH(c, &f->part->streams[0].chunks, link)
	{
		if (c->busy)
			continue;
		if (c->retry_ms <= now_ms)
			break;
		if (c->retry_ms < *ret_wake_ms)
			*ret_wake_ms = c->retry_ms;
	}
	return c;
}

static void done(void *arg, struct part_chunk *chunk, enum upload_outcome outcome,
		 const char *reason)
{
	struct fixture *f = arg;

	assert_false(chunk->busy);
	assert_int_equal(reason[0] == '\0', outcome == UPLOAD_STORED);
	if (upload_busy(f->upload) + 1 > f->most_busy)
		f->most_busy = upload_busy(f->upload) + 1;
	f->done[outcome]++;
	if (outcome == UPLOAD_STORED || outcome == UPLOAD_LOST)
		part_chunk_remove(chunk);
}

static void on_chunk(void *arg, const struct error *err, uint32_t seq)
{
	struct fixture *f = arg;
	struct part_chunk *c = calloc(1, sizeof(*c));

	assert_null(err);
	assert_non_null(c);
	c->seq = seq;
	c->bytes = f->chunk.n;
	part_chunk_add(f->part, c);
}

static int set_up(void **state)
{
	static const struct id pcap = {"0000000000000000000000000000000a"};
	struct fixture *f = calloc(1, sizeof(*f));
	struct spool_meta meta = {.account = pcap, .pcap = pcap};
	struct error err = {0};
	char origin[64];

	assert_non_null(f);
	temp_dir_make(f->path);
	script_server_start(&f->server);
	assert_int_equal(uv_loop_init(&f->loop), 0);
	buf_init(&f->chunk, 4096);
	pcapng_put_section(&f->chunk, "test", NULL);
	struct http_client_config http = {.loop = &f->loop};
	assert_int_equal(http_client_new(&http, &f->http, &err), 0);
	struct spool_config spool = {
		.loop = &f->loop,
		.dir = spool_io_prepare(f->path, geteuid(), getegid(), &err),
		.limit_bytes = 1 << 20,
	};
	assert_int_equal(spool_open(&spool, &f->spool, &err), 0);
	(void)snprintf(origin, sizeof(origin), "http://127.0.0.1:%u", f->server.port);
	struct error refusal = {0};
	struct upload_config config = {.loop = &f->loop,
				       .http = f->http,
				       .origin = origin,
				       .arg = f,
				       .next = next,
				       .done = done};
	assert_int_equal(upload_new(&config, &f->upload), 0);
	f->part = part_new(&pcap, &pcap, 1, 0);
	f->part->spool = spool_part_new(f->spool, &pcap);
	assert_int_equal(spool_meta_put(f->part->spool, &meta, NULL, NULL), 0);
	for (int i = 0; i < CHUNKS; i++)
		assert_int_equal(spool_chunk_put(f->part->spool, 0, buf_bytes(&f->chunk), on_chunk,
						 f, &refusal),
				 0);
	(void)uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(f->part->streams[0].closed, CHUNKS);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	upload_close(f->upload, NULL, NULL);
	http_client_close(f->http, NULL, NULL);
	(void)uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(f->part->lanes, 0);
	spool_close(f->spool, NULL, NULL);
	(void)uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	part_free(f->part);
	buf_fini(&f->chunk);
	script_server_stop(&f->server);
	temp_dir_remove(f->path);
	free(f);
	return 0;
}

static void run_ms(struct fixture *f, uint64_t ms)
{
	uint64_t end_ms = clock_mono_now_ms() + ms;

	while (clock_mono_now_ms() < end_ms) {
		(void)uv_run(&f->loop, UV_RUN_NOWAIT);
		(void)usleep(1000);
	}
}

static void test_all_chunks_go_and_four_at_a_time(void **state)
{
	struct fixture *f = *state;

	f->url = "/ok";
	upload_kick(f->upload);
	while (f->done[UPLOAD_STORED] < CHUNKS)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	assert_int_equal(f->most_busy, UPLOAD_LANES);
	assert_int_equal(atomic_load(&f->server.requests), CHUNKS);
	assert_in_range(atomic_load(&f->server.connections), 1, UPLOAD_LANES);
	assert_int_equal(part_stored(&f->part->streams[0]), CHUNKS);
}

/* A store that resets every connection is asked again, more and more slowly, and nothing is given up. */
static void test_a_store_that_fails_is_asked_again(void **state)
{
	struct fixture *f = *state;

	f->url = "/reset";
	upload_kick(f->upload);
	run_ms(f, 1000);
	assert_in_range(f->done[UPLOAD_AGAIN], UPLOAD_LANES + 1, 6 * UPLOAD_LANES);
	f->url = "/ok";
	while (f->done[UPLOAD_STORED] < CHUNKS)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
}

static void test_forgotten_uploads_let_go_of_their_chunks(void **state)
{
	struct fixture *f = *state;

	f->url = "/hang";
	upload_kick(f->upload);
	while (atomic_load(&f->server.requests) < UPLOAD_LANES)
		(void)uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_int_equal(f->part->lanes, UPLOAD_LANES);
	assert_int_equal(upload_busy(f->upload), UPLOAD_LANES);
	upload_forget(f->upload, f->part);
	assert_int_equal(f->part->lanes, 0);
	assert_int_equal(upload_busy(f->upload), 0);
	f->url = "/ok";
	upload_kick(f->upload);
	while (f->done[UPLOAD_STORED] < CHUNKS)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
}

/* Forgotten while the spool is still being read: the lane is free when that has come back. */
static void test_forgotten_while_reading(void **state)
{
	struct fixture *f = *state;

	f->url = "/ok";
	upload_kick(f->upload);
	upload_forget(f->upload, f->part);
	assert_int_equal(f->part->lanes, 0);
	while (f->done[UPLOAD_STORED] < CHUNKS)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
}

static void test_closed_while_reading(void **state)
{
	struct fixture *f = *state;

	f->url = "/ok";
	upload_kick(f->upload);
	/* tear_down closes at once */
}

static void test_a_damaged_file_is_lost(void **state)
{
	struct fixture *f = *state;
	char path[TEMP_DIR_BYTES + 64];

	(void)snprintf(path, sizeof(path), "%s/%s/00-00000002.pcapng", f->path, f->part->pcap.hex);
	assert_int_equal(truncate(path, 10), 0);
	f->url = "/ok";
	upload_kick(f->upload);
	while (f->done[UPLOAD_STORED] < CHUNKS - 1 || f->done[UPLOAD_LOST] < 1)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	assert_int_equal(f->done[UPLOAD_LOST], 1);
}

static void test_a_redirect_is_a_refusal(void **state)
{
	struct fixture *f = *state;

	f->url = "/moved";
	upload_kick(f->upload);
	while (f->done[UPLOAD_REFUSED] < CHUNKS)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	assert_int_equal(f->done[UPLOAD_AGAIN], 0);
	/* The store is there: nothing pauses but each chunk, for longer and longer. */
	run_ms(f, 1000);
	assert_in_range(f->done[UPLOAD_REFUSED], 2 * CHUNKS, 8 * CHUNKS);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_outcomes_of_statuses),
		cmocka_unit_test(test_a_taken_key_with_our_bytes_is_stored),
		cmocka_unit_test(test_s3_never_conflicts),
		cmocka_unit_test(test_outcomes_have_names),
		T(test_all_chunks_go_and_four_at_a_time),
		T(test_a_store_that_fails_is_asked_again),
		T(test_forgotten_uploads_let_go_of_their_chunks),
		T(test_forgotten_while_reading),
		T(test_closed_while_reading),
		T(test_a_damaged_file_is_lost),
		T(test_a_redirect_is_a_refusal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
