#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"

/* Standard error of the program while a test looks at it: a file that was unlinked at once. */
static int log_file = -1;
static int real_stderr = -1;
static char text[1 << 20];

static int begin_capture(void **state)
{
	(void)state;
	char name[] = "/tmp/test_log.XXXXXX";

	log_file = mkstemp(name);
	unlink(name);
	real_stderr = dup(STDERR_FILENO);
	dup2(log_file, STDERR_FILENO);
	log_init("test", LOG_DEBUG);
	return 0;
}

static int end_capture(void **state)
{
	(void)state;
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	close(log_file);
	return 0;
}

/* All that was logged so far, without the time stamps' part in front of " level". */
static const char *logged(void)
{
	ssize_t n = pread(log_file, text, sizeof(text) - 1, 0);

	assert_true(n >= 0);
	text[n] = '\0';
	const char *level = strstr(text, " level=");
	return level ? level + 1 : text;
}

static void a_line_has_time_level_program_event(void **state)
{
	(void)state;
	int64_t us = 0;

	log_event(LOG_INFO, "listening", "addr", "127.0.0.1:8080", NULL);
	assert_string_equal(logged(), "level=info prog=test event=listening addr=127.0.0.1:8080\n");
	assert_memory_equal(text, "ts=", 3);
	assert_int_equal(clock_parse_rfc3339((struct bytes){(uint8_t *)text + 3, 27}, &us), 0);
	assert_in_range(clock_wall_now_us() - us, 0, 60000000);
}

static void numbers(void **state)
{
	(void)state;
	struct log_line l;

	log_begin(&l, LOG_WARN, "x");
	log_i64(&l, "a", INT64_MIN);
	log_u64(&l, "b", UINT64_MAX);
	log_str(&l, "c", NULL);
	log_end(&l);
	assert_string_equal(logged(), "level=warn prog=test event=x a=-9223372036854775808 "
				      "b=18446744073709551615\n");
}

static void values_are_quoted_and_escaped(void **state)
{
	(void)state;
	static const struct {
		const char *value, *want;
	} cases[] = {
		{"plain", "plain"},
		{"", "\"\""},
		{"two words", "\"two words\""},
		{"a=b", "\"a=b\""},
		{"say \"hi\"", "\"say \\\"hi\\\"\""},
		{"back\\slash", "\"back\\\\slash\""},
		{"line\nline", "\"line\\nline\""},
		{"\r\t", "\"\\r\\t\""},
		{"\x1b[31m", "\"\\x1b[31m\""},
		{"\x7f", "\"\\x7f\""},
		{"\xe2\x82\xac", "\"\\xe2\\x82\\xac\""},
		{"/path?q", "/path?q"},
	};
	char want[200];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(ftruncate(log_file, 0), 0);
		lseek(log_file, 0, SEEK_SET);
		log_event(LOG_ERROR, "e", "v", cases[i].value, NULL);
		(void)snprintf(want, sizeof(want), "level=error prog=test event=e v=%s\n",
			       cases[i].want);
		assert_string_equal(logged(), want);
	}
}

static void lower_levels_are_silent(void **state)
{
	(void)state;
	struct log_line l;

	log_init("test", LOG_WARN);
	log_event(LOG_DEBUG, "no", NULL);
	log_event(LOG_INFO, "no", "k", "v", NULL);
	log_begin(&l, LOG_INFO, "no");
	assert_false(l.on);
	log_i64(&l, "a", 1);
	log_u64(&l, "a", 1);
	log_str(&l, "a", "1");
	log_end(&l);
	assert_string_equal(logged(), "");
	log_event(LOG_WARN, "yes", NULL);
	assert_string_equal(logged(), "level=warn prog=test event=yes\n");
}

static void end_writes_once(void **state)
{
	(void)state;
	struct log_line l;

	log_begin(&l, LOG_INFO, "once");
	errno = ENOSPC;
	log_end(&l);
	log_end(&l);
	assert_int_equal(errno, ENOSPC);
	assert_string_equal(logged(), "level=info prog=test event=once\n");
}

static void a_long_value_is_cut(void **state)
{
	(void)state;
	char value[3000];

	memset(value, 'v', sizeof(value));
	value[sizeof(value) - 1] = '\0';
	log_event(LOG_INFO, "e", "k", value, "after", "1", NULL);
	const char *line = logged();
	assert_int_equal(strspn(strstr(line, "k=") + 2, "v"), LOG_VALUE_BYTES);
	assert_non_null(strstr(line, " after=1 cut=true\n"));
}

/* An escape is written whole or not at all, and the quote is closed. */
static void a_long_escaped_value_is_cut_cleanly(void **state)
{
	(void)state;
	for (size_t shift = 0; shift < 4; shift++) {
		char value[3000];
		assert_int_equal(ftruncate(log_file, 0), 0);
		lseek(log_file, 0, SEEK_SET);
		memset(value, '\x01', sizeof(value));
		memset(value, 'a', shift);
		value[sizeof(value) - 1] = '\0';
		log_event(LOG_INFO, "e", "k", value, NULL);
		const char *line = logged();
		assert_string_equal(line + strlen(line) - strlen("\\x01\" cut=true\n"),
				    "\\x01\" cut=true\n");
	}
}

static void a_long_line_is_cut(void **state)
{
	(void)state;
	struct log_line l;
	char value[300];

	memset(value, ' ', sizeof(value));
	value[sizeof(value) - 1] = '\0';
	log_begin(&l, LOG_INFO, "e");
	for (int i = 0; i < 100; i++)
		log_str(&l, "key", value);
	log_end(&l);
	const char *line = logged();
	assert_true(strlen(text) <= LOG_LINE_BYTES);
	assert_true(strlen(text) > LOG_LINE_BYTES - 100);
	assert_string_equal(line + strlen(line) - strlen("\" cut=true\n"), "\" cut=true\n");
	assert_int_equal(strchr(line, '\n') - line, strlen(line) - 1);
}

static void *log_many(void *arg)
{
	char value[1000];

	memset(value, *(const char *)arg, sizeof(value));
	value[sizeof(value) - 1] = '\0';
	for (int i = 0; i < 100; i++)
		log_event(LOG_INFO, "e", "k", value, NULL);
	return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
	(void)state;
	pthread_t threads[4];
	char letters[] = "abcd";
	size_t lines = 0;

	/* One write(2) at the end of the file is atomic when the file is in append mode. */
	assert_int_equal(fcntl(STDERR_FILENO, F_SETFL, O_APPEND), 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, log_many, &letters[i]), 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	(void)logged();
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), lines++) {
		const char *value = strstr(line, " k=");
		assert_memory_equal(line, "ts=", 3);
		assert_non_null(value);
		assert_int_equal(strspn(value + 3, (char[]){value[3], '\0'}), 999);
		assert_int_equal(value[3 + 999], '\0');
	}
	assert_int_equal(lines, 400);
}

static void levels_are_parsed(void **state)
{
	(void)state;
	enum log_level level = LOG_DEBUG;

	assert_int_equal(log_level_parse(bytes_of("warn"), &level), 0);
	assert_int_equal(level, LOG_WARN);
	assert_int_equal(log_level_parse(bytes_of("debug"), &level), 0);
	assert_int_equal(level, LOG_DEBUG);
	assert_int_equal(log_level_parse(bytes_of("WARN"), &level), EC_EFORMAT);
	assert_int_equal(log_level_parse(bytes_of("warning"), &level), EC_EFORMAT);
	assert_int_equal(log_level_parse(bytes_of(""), &level), EC_EFORMAT);
	assert_int_equal(level, LOG_DEBUG);
}

#define captured(test) cmocka_unit_test_setup_teardown(test, begin_capture, end_capture)

int main(void)
{
	const struct CMUnitTest tests[] = {
		captured(a_line_has_time_level_program_event),
		captured(numbers),
		captured(values_are_quoted_and_escaped),
		captured(lower_levels_are_silent),
		captured(end_writes_once),
		captured(a_long_value_is_cut),
		captured(a_long_escaped_value_is_cut_cleanly),
		captured(a_long_line_is_cut),
		captured(lines_of_threads_do_not_mix),
		cmocka_unit_test(levels_are_parsed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
