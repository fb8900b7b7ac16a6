#include "sampler/offline.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "packet/filter.h"
#include "packet/ledger.h"
#include "packet/pcap_file.h"
#include "packet/pcapng.h"
#include "tests/support/prng.h"
#include "tests/support/random_jobs.h"
#include "tests/support/unit.h"

enum { PACKETS = 3000, JOBS = 40, FILE_BYTES_MAX = 64 * 1024 * 1024, GAP_NS = 1000000 };

#define START_NS INT64_C(1700000000000000000)

/* A folder, and what is written and run in it. */
struct world {
	char dir[64], read[96], jobs[96];
	struct buf capture;
	cJSON *result;
};

static void file_write(const char *path, struct bytes b)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(b.p, 1, b.n, f), b.n);
	assert_int_equal(fclose(f), 0);
}

static void world_open(struct world *w)
{
	*w = (struct world){0};
	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/edgecap-offline.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	(void)snprintf(w->read, sizeof(w->read), "%s/in.pcap", w->dir);
	(void)snprintf(w->jobs, sizeof(w->jobs), "%s/jobs.json", w->dir);
	buf_init(&w->capture, FILE_BYTES_MAX);
	pcap_put_header(&w->capture, LINK_ETHERNET, PCAPNG_SNAPLEN_MAX);
}

static void world_close(struct world *w)
{
	char command[128];
	(void)snprintf(command, sizeof(command), "rm -r '%s'", w->dir);
	assert_int_equal(system(command), 0);
	cJSON_Delete(w->result);
	buf_fini(&w->capture);
}

static int world_run(struct world *w, const char *jobs, struct error *err)
{
	struct offline_settings s = {.read_path = w->read, .jobs_path = w->jobs, .out_dir = w->dir};
	char *text = NULL;
	size_t n = 0;

	file_write(w->read, buf_bytes(&w->capture));
	file_write(w->jobs, bytes_of(jobs));
	FILE *out = open_memstream(&text, &n);
	int rc = offline_run(&s, out, err);
	fclose(out);
	cJSON_Delete(w->result);
	w->result = cJSON_Parse(text);
	free(text);
	return rc;
}

static struct ledger ledger_of(const struct world *w, int job)
{
	const cJSON *jobs = json_get(w->result, "jobs");
	struct ledger l;
	struct error err = {0};
	assert_int_equal(
		ledger_from_json(json_get(cJSON_GetArrayItem(jobs, job), "ledger"), &l, &err), 0);
	if (ledger_check(&l, &err) < 0)
		fail_msg("%s", err.text);
	return l;
}

static const char *reason_of(const struct world *w, int job)
{
	const cJSON *jobs = json_get(w->result, "jobs");
	return cJSON_GetStringValue(json_get(cJSON_GetArrayItem(jobs, job), "reason"));
}

/* The numbers of a job's packets (their last 4 bytes). Returns how many. */
static size_t numbers_of(const struct world *w, int job, uint32_t *dst, size_t cap)
{
	char path[128];
	struct buf file;
	uint8_t part[65536];
	size_t n, used, count = 0;
	struct pcapng_block b;
	struct error err = {0};
	struct pcapng_reader *r = pcapng_reader_new(1);
	bool end = false;

	(void)snprintf(path, sizeof(path), "%s/%032x.pcapng", w->dir, (unsigned)job);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	buf_init(&file, FILE_BYTES_MAX);
	while ((n = fread(part, 1, sizeof(part), f)) > 0)
		buf_put(&file, part, n);
	fclose(f);
	struct bytes left = buf_bytes(&file);
	for (; left.n > 0; left.p += used, left.n -= used) {
		if (pcapng_read(r, left, &b, &used, &err) < 0)
			fail_msg("%s: %s", path, err.text);
		assert_false(end);
		end = b.kind == PCAPNG_STATISTICS;
		if (b.kind == PCAPNG_PACKET && count < cap)
			memcpy(&dst[count++], b.packet.data.p + b.packet.data.n - 4, 4);
	}
	assert_true(end);
	pcapng_reader_free(r);
	buf_fini(&file);
	return count;
}

static void put_number(struct world *w, struct packet_builder *b, uint32_t number, int64_t ts_ns)
{
	memcpy(b->p + b->n - 4, &number, 4);
	pcap_put_record(&w->capture, ts_ns, (uint32_t)b->n, packet_bytes(b));
}

static void put_udp(struct world *w, uint32_t number)
{
	struct packet_builder b = {0};
	put_ethernet(&b, 0x0800);
	put_ipv4(&b, 17, 12);
	put_ports(&b, 1000, 7);
	put_zeros(&b, 4);
	put_number(w, &b, number, START_NS + (int64_t)number * GAP_NS);
}

/* Random jobs on random packets: each file holds exactly what the filter says, in order. */
static void test_equals_the_definition(void **state)
{
	static uint32_t want[JOBS][PACKETS], got[PACKETS];
	struct prng r = prng_start("offline");
	struct filter filters[JOBS];
	size_t counts[JOBS] = {0}, total = 0;
	struct world w;
	struct buf jobs;
	struct error err = {0};
	(void)state;

	world_open(&w);
	buf_init(&jobs, FILE_BYTES_MAX);
	for (int j = 0; j < JOBS; j++) {
		cJSON *json;
		filters[j] = random_filter(&r);
		json = filter_to_json(&filters[j]);
		char *text = json_print(json);
		buf_printf(&jobs, "%s{\"unrestricted\": true, \"filter_v1\": %s}", j ? "," : "[",
			   text);
		free(text);
		cJSON_Delete(json);
	}
	buf_puts(&jobs, "]");
	for (uint32_t i = 0; i < PACKETS; i++) {
		struct packet_builder b;
		struct flow f;
		do
			put_random_packet(&b, &r, LINK_ETHERNET);
		while (b.n < 60);
		put_number(&w, &b, i, START_NS + (int64_t)i * GAP_NS);
		if (flow_parse(LINK_ETHERNET, packet_bytes(&b), &f) < 0)
			continue;
		for (int j = 0; j < JOBS; j++) {
			if (filter_match(&filters[j], &f))
				want[j][counts[j]++] = i;
		}
	}
	if (world_run(&w, buf_cstr(&jobs), &err) != 0)
		fail_msg("%s", err.text);
	for (int j = 0; j < JOBS; j++) {
		size_t n = numbers_of(&w, j, got, PACKETS);
		assert_int_equal(n, counts[j]);
		assert_memory_equal(got, want[j], n * sizeof(got[0]));
		assert_int_equal(ledger_of(&w, j).captured, n);
		assert_int_equal(ledger_of(&w, j).delivered, PACKETS);
		total += n;
	}
	assert_true(total > PACKETS / 8); /* the jobs are no empty ones */
	buf_fini(&jobs);
	world_close(&w);
}

static void test_limits(void **state)
{
	static uint32_t got[PACKETS];
	struct world w;
	struct error err = {0};
	(void)state;

	world_open(&w);
	for (uint32_t i = 0; i < PACKETS; i++)
		put_udp(&w, i);
	int rc = world_run(&w,
			   "[{\"unrestricted\": true, \"packet_limit\": 100},"
			   "{\"unrestricted\": true, \"time_limit\": 1},"
			   "{\"unrestricted\": true, \"byte_limit\": 460},"
			   "{\"unrestricted\": true, \"selection\": \"systematic-count:1/9\"},"
			   "{\"prefixes\": [\"203.0.113.0/24\"]},"
			   "{\"unrestricted\": true, \"time_limit\": 100}]",
			   &err);
	if (rc != 0)
		fail_msg("%s", err.text);
	assert_int_equal(numbers_of(&w, 0, got, PACKETS), 100);
	assert_string_equal(reason_of(&w, 0), "packet_limit");
	assert_int_equal(got[99], 99);
	/* one packet each millisecond, the first and the last of the window included */
	assert_int_equal(numbers_of(&w, 1, got, PACKETS), 1001);
	assert_string_equal(reason_of(&w, 1), "time_limit");
	assert_int_equal(numbers_of(&w, 2, got, PACKETS), 10);
	assert_string_equal(reason_of(&w, 2), "byte_limit");
	assert_int_equal(numbers_of(&w, 3, got, PACKETS), PACKETS / 10);
	assert_int_equal(got[1], 10);
	assert_int_equal(numbers_of(&w, 4, got, PACKETS), 0);
	assert_int_equal(numbers_of(&w, 5, got, PACKETS), PACKETS);
	assert_string_equal(reason_of(&w, 5), "");
	assert_int_equal(ledger_of(&w, 3).matched, PACKETS);
	world_close(&w);
}

/* Many packets for many jobs: more than the chunks in memory hold; nothing is dropped. */
static void test_more_than_memory_holds(void **state)
{
	enum { MANY = 300 };
	struct world w;
	struct buf jobs;
	struct error err = {0};
	(void)state;

	world_open(&w);
	buf_init(&jobs, FILE_BYTES_MAX);
	for (int j = 0; j < MANY; j++)
		buf_printf(&jobs, "%s{\"unrestricted\": true}", j ? "," : "[");
	buf_puts(&jobs, "]");
	for (uint32_t i = 0; i < 2 * PACKETS; i++)
		put_udp(&w, i);
	if (world_run(&w, buf_cstr(&jobs), &err) != 0)
		fail_msg("%s", err.text);
	for (int j = 0; j < MANY; j++) {
		assert_int_equal(ledger_of(&w, j).captured, 2 * PACKETS);
		assert_int_equal(ledger_of(&w, j).dropped_spool, 0);
	}
	buf_fini(&jobs);
	world_close(&w);
}

static void test_faults(void **state)
{
	uint32_t got[16];
	struct world w;
	struct error err = {0};
	(void)state;

	world_open(&w);
	for (uint32_t i = 0; i < 5; i++)
		put_udp(&w, i);
	w.capture.n -= 10; /* cut off within the last record */
	assert_int_equal(world_run(&w, "[{\"unrestricted\": true}]", &err), EC_EFORMAT);
	assert_non_null(strstr(err.text, "in.pcap"));
	assert_int_equal(numbers_of(&w, 0, got, ARRAY_LEN(got)), 4);
	assert_int_equal(world_run(&w, "[{}]", &err), EC_EINVAL);
	assert_non_null(strstr(err.text, "jobs.json"));
	w.capture.n = 10;
	assert_int_equal(world_run(&w, "[{\"unrestricted\": true}]", &err), EC_EFORMAT);
	w.capture.n = 0;
	pcap_put_header(&w.capture, 147, 65535);
	assert_int_equal(world_run(&w, "[{\"unrestricted\": true}]", &err), EC_EINVAL);
	assert_non_null(strstr(err.text, "147"));
	w.capture.n = 0;
	pcap_put_header(&w.capture, LINK_RAW, 65535);
	assert_int_equal(world_run(&w, "[{\"unrestricted\": true}]", &err), 0); /* no packets */
	assert_int_equal(numbers_of(&w, 0, got, ARRAY_LEN(got)), 0);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equals_the_definition),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_more_than_memory_holds),
		cmocka_unit_test(test_faults),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
