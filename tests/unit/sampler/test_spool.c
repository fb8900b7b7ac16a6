#include "sampler/spool.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "packet/pcapng.h"
#include "sampler/spool_io.h"
#include "tests/support/temp_dir.h"
#include "tests/support/unit.h"

static const struct id pcap = {"0000000000000000000000000000000a"};
static const struct id account = {"000000000000000000000000000000aa"};

static struct error refusal; /* of the last spool_chunk_put that was refused */

enum { LOG_MAX = 64 };

/* What the callbacks said, in their order. */
struct said {
	int code;
	uint32_t seq;
	struct bytes data;
};

struct fixture {
	char path[TEMP_DIR_BYTES];
	uv_loop_t loop;
	struct spool *spool;
	size_t count;
	struct said said[LOG_MAX];
	size_t failures;
	struct buf chunk;
};

static void on_failed(void *arg, const struct error *err)
{
	struct fixture *f = arg;

	print_message("%s\n", err->text);
	f->failures++;
}

static struct said *say(struct fixture *f, const struct error *err)
{
	assert_true(f->count < LOG_MAX);
	f->said[f->count] = (struct said){.code = err ? err->code : 0};
	return &f->said[f->count++];
}

static void on_done(void *arg, const struct error *err)
{
	(void)say(arg, err);
}

static void on_chunk(void *arg, const struct error *err, uint32_t seq)
{
	say(arg, err)->seq = seq;
}

static void on_data(void *arg, const struct error *err, struct bytes data)
{
	say(arg, err)->data = data;
}

static void spool_start(struct fixture *f, uint64_t limit_bytes)
{
	struct error err = {0};
	struct spool_config config = {
		.loop = &f->loop,
		.dir = spool_io_prepare(f->path, geteuid(), getegid(), &err),
		.limit_bytes = limit_bytes,
		.arg = f,
		.failed = on_failed,
	};

	assert_true(config.dir >= 0);
	assert_int_equal(spool_open(&config, &f->spool, &err), 0);
}

static void on_closed(void *arg)
{
	*(bool *)arg = true;
}

static void spool_end(struct fixture *f)
{
	bool closed = false;

	spool_close(f->spool, on_closed, &closed);
	assert_false(closed);
	(void)uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_true(closed);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct pcapng_interface interface = {.link_type = 1, .snaplen_bytes = 160};

	assert_non_null(f);
	temp_dir_make(f->path);
	assert_int_equal(uv_loop_init(&f->loop), 0);
	buf_init(&f->chunk, 65536);
	pcapng_put_section(&f->chunk, "test", NULL);
	pcapng_put_interface(&f->chunk, &interface);
	spool_start(f, 1 << 20);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	spool_end(f);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	buf_fini(&f->chunk);
	temp_dir_remove(f->path);
	free(f);
	return 0;
}

static struct spool_part *part_make(struct fixture *f)
{
	struct spool_meta m = {.account = account, .pcap = pcap};
	struct spool_part *part = spool_part_new(f->spool, &pcap);

	assert_non_null(part);
	assert_int_equal(spool_meta_put(part, &m, on_done, f), 0);
	return part;
}

static bool exists(const struct fixture *f, const char *name)
{
	char path[TEMP_DIR_BYTES + 128];

	(void)snprintf(path, sizeof(path), "%s/%s/%s", f->path, pcap.hex, name);
	return access(path, F_OK) == 0;
}

static void run(struct fixture *f)
{
	(void)uv_run(&f->loop, UV_RUN_DEFAULT);
}

static void test_chunks_are_numbered_kept_read_and_removed(void **state)
{
	struct fixture *f = *state;
	struct bytes chunk = buf_bytes(&f->chunk);
	struct spool_part *part = part_make(f);

	assert_int_equal(spool_chunk_put(part, 0, chunk, on_chunk, f, &refusal), 0);
	assert_int_equal(spool_chunk_put(part, 1, chunk, on_chunk, f, &refusal), 0);
	assert_int_equal(spool_chunk_put(part, 0, chunk, on_chunk, f, &refusal), 0);
	assert_int_equal(f->count, 0); /* never from inside the call */
	run(f);
	assert_int_equal(f->count, 4);
	assert_int_equal(f->said[0].code, 0);
	assert_int_equal(f->said[1].seq, 0);
	assert_int_equal(f->said[2].seq, 0);
	assert_int_equal(f->said[3].seq, 1);
	assert_true(exists(f, "part.json") && exists(f, "00-00000001.pcapng") &&
		    exists(f, "01-00000000.pcapng"));
	assert_false(exists(f, "new.tmp"));
	assert_int_equal(spool_used_bytes(f->spool), 5 * SPOOL_BLOCK_BYTES);

	assert_int_equal(spool_chunk_get(part, 0, 1, on_data, f), 0);
	run(f);
	assert_int_equal(f->said[4].data.n, chunk.n);
	assert_memory_equal(f->said[4].data.p, chunk.p, chunk.n);
	free((void *)(uintptr_t)f->said[4].data.p);

	spool_chunk_remove(part, 0, 1, chunk.n);
	run(f);
	assert_false(exists(f, "00-00000001.pcapng"));
	assert_int_equal(spool_used_bytes(f->spool), 4 * SPOOL_BLOCK_BYTES);
	spool_part_remove(part);
	run(f);
	assert_false(exists(f, ""));
	assert_int_equal(spool_used_bytes(f->spool), 0);
	assert_int_equal(f->failures, 0);
}

static void test_files_are_private(void **state)
{
	struct fixture *f = *state;
	char path[TEMP_DIR_BYTES + 128];
	struct stat st;

	(void)part_make(f);
	run(f);
	(void)snprintf(path, sizeof(path), "%s/%s", f->path, pcap.hex);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	(void)snprintf(path, sizeof(path), "%s/%s/part.json", f->path, pcap.hex);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

/* At the limit what is there stays, and what comes is refused, until there is room again. */
static void test_at_the_limit_the_oldest_is_kept(void **state)
{
	struct fixture *f = *state;
	struct bytes chunk = buf_bytes(&f->chunk);

	spool_end(f);
	/* a part, three chunks, and what is left for others while it has three */
	spool_start(f, 6 * SPOOL_BLOCK_BYTES);
	struct spool_part *part = part_make(f);
	for (int i = 0; i < 3; i++)
		assert_int_equal(spool_chunk_put(part, 0, chunk, on_chunk, f, &refusal), 0);
	assert_int_equal(spool_chunk_put(part, 0, chunk, on_chunk, f, &refusal), EC_ELIMIT);
	run(f);
	assert_int_equal(spool_chunk_put(part, 0, chunk, on_chunk, f, &refusal), EC_ELIMIT);
	assert_true(exists(f, "00-00000000.pcapng") && exists(f, "00-00000002.pcapng"));
	spool_chunk_remove(part, 0, 0, chunk.n);
	run(f);
	assert_int_equal(spool_chunk_put(part, 0, chunk, on_chunk, f, &refusal), 0);
	run(f);
	assert_int_equal(f->said[f->count - 1].seq, 3); /* without a gap */
}

static struct spool_part *other_make(struct fixture *f)
{
	static const struct id other = {"0000000000000000000000000000000b"};
	struct spool_meta m = {.account = account, .pcap = other};
	struct spool_part *part = spool_part_new(f->spool, &other);

	assert_non_null(part);
	assert_int_equal(spool_meta_put(part, &m, NULL, NULL), 0);
	return part;
}

/* Puts chunks until one is refused. Returns how many were not. */
static int put_all(struct fixture *f, struct spool_part *part)
{
	int n = 0;

	while (spool_chunk_put(part, 0, buf_bytes(&f->chunk), on_chunk, f, &refusal) == 0) {
		n++;
		run(f);
		f->count = 0;
	}
	return n;
}

/* Four times what is free: who fills the spool leaves room for those that come, and gets nothing more from then on. */
static void test_a_part_has_its_share(void **state)
{
	struct fixture *f = *state;

	spool_end(f);
	spool_start(f, 104 * SPOOL_BLOCK_BYTES); /* two parts' own files and 100 chunks */
	struct spool_part *heavy = part_make(f), *light = other_make(f);
	assert_int_equal(put_all(f, heavy), 80);
	assert_non_null(strstr(refusal.text, "EDGECAP_SPOOL_BYTES: of 425984 bytes, 344064 are in "
					     "use and this capture has 335872, its share"));
	assert_int_equal(put_all(f, light), 16);
	assert_int_equal(put_all(f, heavy), 0);
	assert_int_equal(f->failures, 0);
}

/* Writes `who` where `at` points when its chunk is written. */
struct turn {
	char **at;
	char who;
};

static void on_turn(void *arg, const struct error *err, uint32_t seq)
{
	const struct turn *t = arg;

	(void)seq;
	assert_null(err);
	*(*t->at)++ = t->who;
}

/* A slow disk: who has one chunk does not wait for the backlog of another. */
static void test_parts_take_turns(void **state)
{
	struct fixture *f = *state;
	char order[16] = {0}, *at = order;
	struct turn heavy_turn = {&at, 'h'}, light_turn = {&at, 'l'};
	struct spool_part *heavy = part_make(f), *light = other_make(f);

	run(f);
	for (int i = 0; i < 6; i++)
		assert_int_equal(spool_chunk_put(heavy, 0, buf_bytes(&f->chunk), on_turn,
						 &heavy_turn, &refusal),
				 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(spool_chunk_put(light, 0, buf_bytes(&f->chunk), on_turn,
						 &light_turn, &refusal),
				 0);
	run(f);
	assert_string_equal(order, "hhlhlhhh");
}

/* A disk that is full (here: a limit on the size of files) is the same to the caller, and takes no number. */
static void test_a_full_disk_takes_no_number(void **state)
{
	struct fixture *f = *state;
	struct bytes chunk = buf_bytes(&f->chunk);
	struct rlimit was, small;
	struct spool_part *part = part_make(f);

	(void)signal(SIGXFSZ, SIG_IGN);
	run(f);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	small = was;
	small.rlim_cur = chunk.n / 2;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	uint64_t before = spool_used_bytes(f->spool);
	assert_int_equal(spool_chunk_put(part, 0, chunk, on_chunk, f, &refusal), 0);
	run(f);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	assert_int_equal(f->said[1].code, EC_ELIMIT);
	assert_false(exists(f, "new.tmp"));
	assert_int_equal(spool_used_bytes(f->spool), before);
	assert_int_equal(spool_chunk_put(part, 0, chunk, on_chunk, f, &refusal), 0);
	run(f);
	assert_int_equal(f->said[2].code, 0);
	assert_int_equal(f->said[2].seq, 0);
}

static void test_a_damaged_chunk_is_not_handed_out(void **state)
{
	struct fixture *f = *state;
	struct spool_part *part = part_make(f);
	char path[TEMP_DIR_BYTES + 128];

	assert_int_equal(spool_chunk_put(part, 0, buf_bytes(&f->chunk), on_chunk, f, &refusal), 0);
	run(f);
	(void)snprintf(path, sizeof(path), "%s/%s/00-00000000.pcapng", f->path, pcap.hex);
	assert_int_equal(truncate(path, (off_t)f->chunk.n - 1), 0);
	assert_int_equal(spool_chunk_get(part, 0, 0, on_data, f), 0);
	assert_int_equal(spool_chunk_get(part, 0, 1, on_data, f), 0);
	run(f);
	assert_int_equal(f->said[2].code, EC_EFORMAT);
	assert_int_equal(f->said[3].code, EC_ENOTFOUND);
}

/* spool_close keeps what was accepted: the last chunks of a process that is told to end. */
static void test_close_finishes_what_was_accepted(void **state)
{
	struct fixture *f = *state;
	struct spool_part *part = part_make(f);

	for (int i = 0; i < 5; i++)
		assert_int_equal(
			spool_chunk_put(part, 0, buf_bytes(&f->chunk), on_chunk, f, &refusal), 0);
	spool_end(f);
	assert_int_equal(f->count, 6);
	assert_true(exists(f, "00-00000004.pcapng"));
	spool_start(f, 1 << 20);
}

static void test_two_samplers_cannot_share_a_spool(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};
	struct spool_config config = {
		.loop = &f->loop,
		.dir = spool_io_prepare(f->path, geteuid(), getegid(), &err),
		.limit_bytes = 1,
	};
	struct spool *second = NULL;

	assert_int_equal(spool_open(&config, &second, &err), EC_EINVAL);
	assert_non_null(strstr(err.text, "EDGECAP_SPOOL_DIR: another sampler uses it"));
}

static void test_the_directory_is_made_but_not_its_parents(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};
	struct stat st;
	char path[TEMP_DIR_BYTES + 128];

	assert_int_equal(spool_io_prepare("/nonexistent/spool", 0, 0, &err), EC_EINVAL);
	assert_non_null(strstr(err.text, "EDGECAP_SPOOL_DIR: cannot make /nonexistent/spool"));
	(void)snprintf(path, sizeof(path), "%s/.lock", f->path);
	assert_int_equal(spool_io_prepare(path, 0, 0, &err), EC_EINVAL); /* a file */
	(void)snprintf(path, sizeof(path), "%s/new", f->path);
	int fd = spool_io_prepare(path, geteuid() == 0 ? 65534 : geteuid(), getegid(), &err);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(st.st_uid, geteuid() == 0 ? 65534 : geteuid());
	(void)close(fd);
}

struct recovered {
	struct spool_part *part;
	size_t chunks;
};

static int on_found(void *arg, struct spool_part *part, const struct spool_found *what)
{
	struct recovered *r = arg;

	assert_null(r->part);
	assert_string_equal(what->meta.account.hex, account.hex);
	r->part = part;
	r->chunks = what->chunk_count;
	return 0;
}

static void on_note(void *arg, const char *name, const char *reason)
{
	(void)arg;
	fail_msg("%s: %s", name, reason);
}

/* What one process kept the next one finds, counts, reads and removes. */
static void test_the_next_process_finds_it(void **state)
{
	struct fixture *f = *state;
	struct recovered r = {0};
	struct spool_recovery events = {.arg = &r, .found = on_found, .note = on_note};
	struct error err = {0};
	struct spool_part *part = part_make(f);

	for (int i = 0; i < 3; i++)
		assert_int_equal(
			spool_chunk_put(part, 2, buf_bytes(&f->chunk), on_chunk, f, &refusal), 0);
	run(f);
	uint64_t used = spool_used_bytes(f->spool);
	spool_end(f);
	spool_start(f, 1 << 20);
	assert_int_equal(spool_recover(f->spool, &events, &err), 0);
	assert_non_null(r.part);
	assert_int_equal(r.chunks, 3);
	assert_int_equal(spool_used_bytes(f->spool), used);
	f->count = 0;
	assert_int_equal(spool_chunk_get(r.part, 2, 2, on_data, f), 0);
	run(f);
	assert_int_equal(f->said[0].code, 0);
	free((void *)(uintptr_t)f->said[0].data.p);
	spool_part_remove(r.part);
	run(f);
	assert_false(exists(f, ""));
	assert_int_equal(spool_used_bytes(f->spool), 0);
}

static void test_what_cannot_be_removed_is_said(void **state)
{
	struct fixture *f = *state;
	struct spool_part *part = part_make(f);
	char path[TEMP_DIR_BYTES + 128];

	run(f);
	(void)snprintf(path, sizeof(path), "%s/%s/folder", f->path, pcap.hex);
	assert_int_equal(mkdir(path, 0700), 0);
	spool_part_remove(part);
	run(f);
	assert_int_equal(f->failures, 1);
	assert_int_equal(spool_used_bytes(f->spool), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_chunks_are_numbered_kept_read_and_removed),
		T(test_files_are_private),
		T(test_at_the_limit_the_oldest_is_kept),
		T(test_a_part_has_its_share),
		T(test_parts_take_turns),
		T(test_a_full_disk_takes_no_number),
		T(test_a_damaged_chunk_is_not_handed_out),
		T(test_close_finishes_what_was_accepted),
		T(test_two_samplers_cannot_share_a_spool),
		T(test_the_directory_is_made_but_not_its_parents),
		T(test_the_next_process_finds_it),
		T(test_what_cannot_be_removed_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
