#include "sampler/spool_scan.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "packet/pcapng.h"
#include "sampler/spool_io.h"
#include "tests/support/temp_dir.h"
#include "tests/support/unit.h"

static const struct id pcap_a = {"0000000000000000000000000000000a"};
static const struct id pcap_b = {"0000000000000000000000000000000b"};

struct seen {
	size_t parts, notes;
	char notes_text[4096];
	size_t chunk_count;
	struct spool_found_chunk chunks[16];
	struct id pcap;
	int answer;
};

struct fixture {
	char path[TEMP_DIR_BYTES];
	int dir;
	struct seen seen;
};

static int on_found(void *arg, const struct spool_found *part)
{
	struct seen *s = arg;

	s->parts++;
	s->pcap = part->meta.pcap;
	s->chunk_count = part->chunk_count;
	assert_true(part->chunk_count <= ARRAY_LEN(s->chunks));
	if (part->chunk_count > 0)
		memcpy(s->chunks, part->chunks, part->chunk_count * sizeof(*part->chunks));
	return s->answer;
}

static void on_note(void *arg, const char *name, const char *reason)
{
	struct seen *s = arg;
	size_t n = strlen(s->notes_text);

	s->notes++;
	(void)snprintf(s->notes_text + n, sizeof(s->notes_text) - n, "%s: %s\n", name, reason);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct error err = {0};

	assert_non_null(f);
	temp_dir_make(f->path);
	f->dir = spool_io_prepare(f->path, geteuid(), getegid(), &err);
	assert_true(f->dir >= 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	(void)close(f->dir);
	temp_dir_remove(f->path);
	free(f);
	return 0;
}

static int scan(struct fixture *f)
{
	struct spool_scan_events events = {.arg = &f->seen, .found = on_found, .note = on_note};
	struct error err = {0};

	return spool_scan(f->dir, &events, &err);
}

static void part_write(struct fixture *f, const struct id *dir, const struct id *named)
{
	struct spool_meta m = {.account = {"000000000000000000000000000000aa"}, .pcap = *named};
	struct error err = {0};
	struct buf text;

	buf_init(&text, SPOOL_META_BYTES);
	assert_int_equal(spool_meta_encode(&m, &text), 0);
	assert_int_equal(spool_io_meta_write(f->dir, dir, buf_bytes(&text), &err), 0);
	buf_fini(&text);
}

static void file_write(struct fixture *f, const char *name, const char *text)
{
	int fd = openat(f->dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	(void)close(fd);
}

static bool exists(struct fixture *f, const char *name)
{
	return faccessat(f->dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void test_an_empty_spool(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(scan(f), 0);
	assert_int_equal(f->seen.parts, 0);
	assert_int_equal(f->seen.notes, 0);
}

static void test_chunks_come_in_order(void **state)
{
	static const uint32_t order[][2] = {{1, 10}, {0, 9}, {0, 100}, {1, 2}};
	struct fixture *f = *state;
	struct error err = {0};

	part_write(f, &pcap_a, &pcap_a);
	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		assert_int_equal(spool_io_chunk_write(f->dir, &pcap_a, order[i][0], order[i][1],
						      bytes_of("12345"), &err),
				 0);
	assert_int_equal(scan(f), 0);
	assert_int_equal(f->seen.parts, 1);
	assert_int_equal(f->seen.notes, 0);
	assert_int_equal(f->seen.chunk_count, 4);
	assert_int_equal(f->seen.chunks[0].seq, 9);
	assert_int_equal(f->seen.chunks[1].seq, 100);
	assert_int_equal(f->seen.chunks[2].stream, 1);
	assert_int_equal(f->seen.chunks[2].seq, 2);
	assert_int_equal(f->seen.chunks[3].seq, 10);
	assert_int_equal(f->seen.chunks[0].bytes, 5);
}

static void test_garbage_in_a_part_is_removed(void **state)
{
	static const char *const garbage[] = {
		"new.tmp",
		"00-0000001.pcapng",
		"99-00000001.pcapng",
		"00-00000001.pcap",
		"00-00000002.pcapng" /* empty */,
		"+1-00000003.pcapng",
		"0x-00000003.pcapng",
		"core",
	};
	struct fixture *f = *state;
	char path[128];

	part_write(f, &pcap_a, &pcap_a);
	for (size_t i = 0; i < ARRAY_LEN(garbage); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", pcap_a.hex, garbage[i]);
		file_write(f, path, strcmp(garbage[i], "00-00000002.pcapng") == 0 ? "" : "x");
	}
	(void)snprintf(path, sizeof(path), "%s/00-00000007.pcapng", pcap_a.hex);
	assert_int_equal(symlinkat("/etc/passwd", f->dir, path), 0);
	assert_int_equal(scan(f), 0);
	assert_int_equal(f->seen.parts, 1);
	assert_int_equal(f->seen.chunk_count, 0);
	assert_int_equal(f->seen.notes, ARRAY_LEN(garbage) + 1);
	assert_false(exists(f, path));
	for (size_t i = 0; i < ARRAY_LEN(garbage); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", pcap_a.hex, garbage[i]);
		assert_false(exists(f, path));
	}
}

static void test_a_part_that_is_nobodys_is_removed(void **state)
{
	static const char *const damaged[] = {"", "{", "\0\0\0", "{\"version\":1}"};
	struct fixture *f = *state;
	struct error err = {0};
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/part.json", pcap_a.hex);
	for (size_t i = 0; i < ARRAY_LEN(damaged); i++) {
		part_write(f, &pcap_a, &pcap_a);
		assert_int_equal(spool_io_chunk_write(f->dir, &pcap_a, 0, 0, bytes_of("x"), &err),
				 0);
		file_write(f, path, damaged[i]);
		assert_int_equal(scan(f), 0);
		assert_int_equal(f->seen.parts, 0);
		assert_int_equal(f->seen.notes, 2 * (i + 1));
		assert_false(exists(f, pcap_a.hex));
	}
	part_write(f, &pcap_a, &pcap_b); /* the meta file of another part */
	assert_int_equal(scan(f), 0);
	assert_int_equal(f->seen.parts, 0);
	assert_false(exists(f, pcap_a.hex));
	assert_int_equal(mkdirat(f->dir, pcap_b.hex, 0700), 0); /* killed before its meta file */
	assert_int_equal(scan(f), 0);
	assert_false(exists(f, pcap_b.hex));
}

static void test_what_is_not_the_samplers_is_left_alone(void **state)
{
	struct fixture *f = *state;

	file_write(f, "README", "mine");
	assert_int_equal(mkdirat(f->dir, "lost+found", 0700), 0);
	/* A link in the place of a part must not lead anywhere. */
	assert_int_equal(symlinkat("/etc", f->dir, pcap_a.hex), 0);
	assert_int_equal(scan(f), 0);
	assert_true(exists(f, "README"));
	assert_true(exists(f, "lost+found"));
	assert_int_equal(f->seen.parts, 0);
	assert_non_null(strstr(f->seen.notes_text, "README: "));
	assert_int_equal(access("/etc/passwd", F_OK), 0);
}

static void test_the_receiver_can_end_the_scan(void **state)
{
	struct fixture *f = *state;

	part_write(f, &pcap_a, &pcap_a);
	part_write(f, &pcap_b, &pcap_b);
	f->seen.answer = EC_ENOMEM;
	assert_int_equal(scan(f), EC_ENOMEM);
	assert_int_equal(f->seen.parts, 1);
}

static void test_a_chunk_is_checked_to_its_last_byte(void **state)
{
	struct pcapng_interface interface = {.link_type = 1, .snaplen_bytes = 160};
	struct pcapng_packet packet = {.ts_ns = 5, .wire_bytes = 4, .data = bytes_of("abcd")};
	struct error err = {0};
	uint32_t packets = 99;
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	pcapng_put_section(&b, "test", NULL);
	size_t section_bytes = b.n;
	pcapng_put_interface(&b, &interface);
	size_t interface_bytes = b.n;
	pcapng_put_packet(&b, &packet);
	pcapng_put_packet(&b, &packet);
	assert_int_equal(spool_chunk_check(buf_bytes(&b), &packets, &err), 0);
	assert_int_equal(packets, 2);
	size_t boundary = interface_bytes + (b.n - interface_bytes) / 2;
	for (size_t n = 0; n < b.n; n++) {
		int want = n == section_bytes || n == interface_bytes || n == boundary ? 0
										       : EC_EFORMAT;
		assert_int_equal(spool_chunk_check((struct bytes){b.p, n}, &packets, &err), want);
	}
	memset(b.p + boundary, 0, b.n - boundary); /* what a host that died leaves */
	assert_int_equal(spool_chunk_check(buf_bytes(&b), &packets, &err), EC_EFORMAT);
	buf_fini(&b);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_an_empty_spool),
		T(test_chunks_come_in_order),
		T(test_garbage_in_a_part_is_removed),
		T(test_a_part_that_is_nobodys_is_removed),
		T(test_what_is_not_the_samplers_is_left_alone),
		T(test_the_receiver_can_end_the_scan),
		cmocka_unit_test(test_a_chunk_is_checked_to_its_last_byte),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
