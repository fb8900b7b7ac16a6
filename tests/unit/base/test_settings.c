#include "base/settings.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/settings_help.h"
#include "version.h"

static const struct setting table[] = {
	{"EDGECAP_LISTEN", SETTING_STR, "127.0.0.1:8080", 1, 20, false, "where to listen"},
	{"EDGECAP_KEY", SETTING_SECRET, NULL, 4, 64, true, "a key"},
	{"EDGECAP_WORKERS", SETTING_INT, "2", 1, 64, false, "loops"},
	{"EDGECAP_SPOOL", SETTING_SIZE, "64MiB", 1 << 20, 0, false, "bytes on disk"},
	{"EDGECAP_HOLD", SETTING_DURATION, "10s", 100, 60000, false, "longest poll"},
	{"EDGECAP_LOUD", SETTING_BOOL, "false", 0, 0, false, "say more"},
	{"EDGECAP_DRY_RUN", SETTING_FLAG, NULL, 0, 0, false, "change nothing"},
	{"EDGECAP_NAME", SETTING_STR, NULL, 0, 0, true, "a name"},
	{"EDGECAP_COUNT", SETTING_INT, NULL, 5, 9, true, "a number"},
};

static const struct settings_program program = {"edgecap-test", "Tests settings.", table,
						ARRAY_LEN(table), 2};

/* Arguments of a program, its name put in front. */
#define ARGS(...)                                                                                  \
	(const char *const[])                                                                      \
	{                                                                                          \
		"prog" __VA_OPT__(, ) __VA_ARGS__, NULL                                            \
	}

static int clear_environment(void **state)
{
	(void)state;
	return clearenv();
}

/* settings_read with writable arguments, as main gets them. They stay valid to the end of the test. */
static int read_args(const struct settings_program *p, const char *const *args,
		     struct settings **ret, enum settings_outcome *outcome, struct error *err)
{
	static char texts[16][128];
	static char *argv[17];
	int argc = 0;

	for (; args[argc]; argc++) {
		(void)snprintf(texts[argc], sizeof(texts[argc]), "%s", args[argc]);
		argv[argc] = texts[argc];
	}
	argv[argc] = NULL;
	return settings_read(p, argc, argv, ret, outcome, err);
}

static struct settings *read_good(const char *const *args)
{
	struct settings *s = NULL;
	enum settings_outcome outcome = SETTINGS_EXIT;
	struct error err = {0};

	if (read_args(&program, args, &s, &outcome, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(outcome, SETTINGS_RUN);
	return s;
}

static void read_bad(const char *const *args, const char *want)
{
	struct settings *s = NULL;
	enum settings_outcome outcome = SETTINGS_RUN;
	struct error err = {0};

	assert_int_equal(read_args(&program, args, &s, &outcome, &err), EC_EINVAL);
	assert_string_equal(err.text, want);
	assert_null(s);
}

static void defaults(void **state)
{
	(void)state;
	struct settings *s = read_good(ARGS());

	assert_string_equal(settings_str(s, "EDGECAP_LISTEN"), "127.0.0.1:8080");
	assert_null(settings_str(s, "EDGECAP_KEY"));
	assert_null(settings_str(s, "EDGECAP_NAME"));
	assert_int_equal(settings_u64(s, "EDGECAP_WORKERS"), 2);
	assert_int_equal(settings_u64(s, "EDGECAP_SPOOL"), 64 << 20);
	assert_int_equal(settings_u64(s, "EDGECAP_HOLD"), 10000);
	assert_int_equal(settings_u64(s, "EDGECAP_COUNT"), 0);
	assert_false(settings_bool(s, "EDGECAP_LOUD"));
	assert_false(settings_bool(s, "EDGECAP_DRY_RUN"));
	assert_null(settings_operand(s, 0));
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		assert_false(settings_given(s, table[i].name));
	settings_free(s);
	settings_free(NULL);
}

static void environment_is_read(void **state)
{
	(void)state;
	setenv("EDGECAP_LISTEN", "[::1]:1", 1);
	setenv("EDGECAP_KEY", "secret", 1);
	setenv("EDGECAP_WORKERS", "64", 1);
	setenv("EDGECAP_SPOOL", "1GB", 1);
	setenv("EDGECAP_HOLD", "500ms", 1);
	setenv("EDGECAP_LOUD", "yes", 1);
	setenv("EDGECAP_DRY_RUN", "true", 1); /* a switch is for the command line only */
	setenv("EDGECAP_OF_ANOTHER_PROGRAM", "x", 1);
	struct settings *s = read_good(ARGS());
	setenv("EDGECAP_LISTEN", "changed later", 1);
	assert_string_equal(settings_str(s, "EDGECAP_LISTEN"), "[::1]:1");
	assert_string_equal(settings_str(s, "EDGECAP_KEY"), "secret");
	assert_int_equal(settings_u64(s, "EDGECAP_WORKERS"), 64);
	assert_int_equal(settings_u64(s, "EDGECAP_SPOOL"), 1000000000);
	assert_int_equal(settings_u64(s, "EDGECAP_HOLD"), 500);
	assert_true(settings_bool(s, "EDGECAP_LOUD"));
	assert_false(settings_bool(s, "EDGECAP_DRY_RUN"));
	assert_true(settings_given(s, "EDGECAP_LISTEN"));
	assert_false(settings_given(s, "EDGECAP_NAME"));
	settings_free(s);
}

static void an_empty_variable_counts_as_not_set(void **state)
{
	(void)state;
	setenv("EDGECAP_WORKERS", "", 1);
	setenv("EDGECAP_NAME", "", 1);
	struct settings *s = read_good(ARGS());
	assert_int_equal(settings_u64(s, "EDGECAP_WORKERS"), 2);
	assert_null(settings_str(s, "EDGECAP_NAME"));
	settings_free(s);
}

static void flags_win_over_the_environment(void **state)
{
	(void)state;
	setenv("EDGECAP_WORKERS", "7", 1);
	setenv("EDGECAP_LOUD", "true", 1);
	setenv("EDGECAP_KEY_FILE", "/does/not/exist", 1);
	struct settings *s =
		read_good(ARGS("--workers", "3", "--workers=4", "--loud=off",
			       "--name=", "--key=from-flag", "--dry-run", "--hold", "1m"));
	assert_int_equal(settings_u64(s, "EDGECAP_WORKERS"), 4);
	assert_false(settings_bool(s, "EDGECAP_LOUD"));
	assert_string_equal(settings_str(s, "EDGECAP_NAME"), "");
	assert_string_equal(settings_str(s, "EDGECAP_KEY"), "from-flag");
	assert_true(settings_bool(s, "EDGECAP_DRY_RUN"));
	assert_true(settings_given(s, "EDGECAP_DRY_RUN"));
	assert_int_equal(settings_u64(s, "EDGECAP_HOLD"), 60000);
	settings_free(s);
}

static void a_boolean_flag_takes_no_next_argument(void **state)
{
	(void)state;
	struct settings *s = read_good(ARGS("--loud", "operand"));

	assert_true(settings_bool(s, "EDGECAP_LOUD"));
	assert_string_equal(settings_operand(s, 0), "operand");
	settings_free(s);
}

static void operands(void **state)
{
	(void)state;
	struct settings *s = read_good(ARGS("a", "--workers", "5", "--", "--workers"));

	assert_string_equal(settings_operand(s, 0), "a");
	assert_string_equal(settings_operand(s, 1), "--workers");
	assert_null(settings_operand(s, 2));
	assert_int_equal(settings_u64(s, "EDGECAP_WORKERS"), 5);
	settings_free(s);
	s = read_good(ARGS("-", "--"));
	assert_string_equal(settings_operand(s, 0), "-");
	settings_free(s);
	read_bad(ARGS("a", "b", "c"), "unexpected operand \"c\" (see --help)");
}

static void a_value_may_look_like_a_flag(void **state)
{
	(void)state;
	struct settings *s = read_good(ARGS("--name", "--workers"));

	assert_string_equal(settings_str(s, "EDGECAP_NAME"), "--workers");
	settings_free(s);
}

static void wrong_flags_are_named(void **state)
{
	(void)state;
	read_bad(ARGS("--bogus"), "unknown flag --bogus (see --help)");
	read_bad(ARGS("--bogus=1"), "unknown flag --bogus (see --help)");
	read_bad(ARGS("--worker", "1"), "unknown flag --worker (see --help)");
	read_bad(ARGS("--workersx=1"), "unknown flag --workersx (see --help)");
	read_bad(ARGS("-w"), "unknown flag -w (see --help)");
	read_bad(ARGS("--EDGECAP_WORKERS=1"), "unknown flag --EDGECAP_WORKERS (see --help)");
	read_bad(ARGS("--listen-file=x"), "unknown flag --listen-file (see --help)");
	read_bad(ARGS("--workers"), "--workers needs a value");
	read_bad(ARGS("--dry-run=true"), "--dry-run takes no value");
}

static void wrong_values_name_setting_range_and_value(void **state)
{
	(void)state;
	read_bad(ARGS("--workers=0"),
		 "EDGECAP_WORKERS (--workers): must be a whole number, 1..64, not \"0\"");
	read_bad(ARGS("--workers=65"),
		 "EDGECAP_WORKERS (--workers): must be a whole number, 1..64, not \"65\"");
	read_bad(ARGS("--workers= 5"),
		 "EDGECAP_WORKERS (--workers): must be a whole number, 1..64, not \" 5\"");
	read_bad(ARGS("--workers="),
		 "EDGECAP_WORKERS (--workers): must be a whole number, 1..64, not \"\"");
	read_bad(ARGS("--spool=1kB"), "EDGECAP_SPOOL (--spool): must be a size (65536, 64KiB, "
				      "1MB), at least 1MiB bytes, not \"1kB\"");
	read_bad(ARGS("--hold=99ms"), "EDGECAP_HOLD (--hold): must be a duration (500ms, 30s, 5m, "
				      "24h, 7d), 100ms..1m, not \"99ms\"");
	read_bad(ARGS("--loud=maybe"),
		 "EDGECAP_LOUD (--loud): must be one of true or false, not \"maybe\"");
	read_bad(ARGS("--listen=123456789012345678901"),
		 "EDGECAP_LISTEN (--listen): must be a text of 1..20 characters, not "
		 "\"123456789012345678901\"");
	read_bad(ARGS("--count=4"),
		 "EDGECAP_COUNT (--count): must be a whole number, 5..9, not \"4\"");
	setenv("EDGECAP_WORKERS", "many", 1);
	read_bad(ARGS(),
		 "EDGECAP_WORKERS (--workers): must be a whole number, 1..64, not \"many\"");
}

static void bounds_are_inclusive(void **state)
{
	(void)state;
	static const char twenty[] = "12345678901234567890";
	struct settings *s =
		read_good(ARGS("--listen=12345678901234567890", "--key=1234", "--workers=64",
			       "--spool=1MiB", "--hold=100ms", "--count=5"));

	assert_string_equal(settings_str(s, "EDGECAP_LISTEN"), twenty);
	assert_string_equal(settings_str(s, "EDGECAP_KEY"), "1234");
	assert_int_equal(settings_u64(s, "EDGECAP_SPOOL"), 1 << 20);
	assert_int_equal(settings_u64(s, "EDGECAP_HOLD"), 100);
	settings_free(s);
}

static void a_secret_is_not_shown(void **state)
{
	(void)state;
	read_bad(ARGS("--key=abc"),
		 "EDGECAP_KEY (--key): must be a text of 4..64 characters, not one of 3");
}

/* A secret file with the given content. Returns its name, static. */
static const char *secret_file(const void *content, size_t n)
{
	static char name[64];

	(void)snprintf(name, sizeof(name), "/tmp/test_settings.XXXXXX");
	int fd = mkstemp(name);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, n), n);
	close(fd);
	return name;
}

static void secrets_come_from_files(void **state)
{
	(void)state;
	static const char *const contents[] = {"secret", "secret\n", "secret\r\n"};

	for (size_t i = 0; i < ARRAY_LEN(contents); i++) {
		const char *name = secret_file(contents[i], strlen(contents[i]));
		setenv("EDGECAP_KEY_FILE", name, 1);
		struct settings *s = read_good(ARGS());
		assert_string_equal(settings_str(s, "EDGECAP_KEY"), "secret");
		assert_true(settings_given(s, "EDGECAP_KEY"));
		settings_free(s);
		unsetenv("EDGECAP_KEY_FILE");
		char flag[128];
		(void)snprintf(flag, sizeof(flag), "--key-file=%s", name);
		s = read_good(ARGS(flag));
		assert_string_equal(settings_str(s, "EDGECAP_KEY"), "secret");
		settings_free(s);
		unlink(name);
	}
	/* one newline only, spaces stay */
	const char *name = secret_file(" se \n\n", 6);
	setenv("EDGECAP_KEY_FILE", name, 1);
	struct settings *s = read_good(ARGS());
	assert_string_equal(settings_str(s, "EDGECAP_KEY"), " se \n");
	settings_free(s);
	unlink(name);
}

static void bad_secret_files_are_named(void **state)
{
	(void)state;
	static char large[20000];
	char want[200];

	read_bad(ARGS("--key-file=/does/not/exist"),
		 "EDGECAP_KEY: cannot open /does/not/exist: No such file or directory");
	read_bad(ARGS("--key-file=/tmp"), "EDGECAP_KEY: cannot read /tmp: Is a directory");
	read_bad(ARGS("--key=abcd", "--key-file=/tmp"),
		 "both EDGECAP_KEY and EDGECAP_KEY_FILE are set");
	setenv("EDGECAP_KEY", "abcd", 1);
	setenv("EDGECAP_KEY_FILE", "/tmp", 1);
	read_bad(ARGS(), "both EDGECAP_KEY and EDGECAP_KEY_FILE are set");
	unsetenv("EDGECAP_KEY");

	const char *name = secret_file("a\0bcd", 5);
	setenv("EDGECAP_KEY_FILE", name, 1);
	(void)snprintf(want, sizeof(want), "EDGECAP_KEY: %s contains a NUL byte", name);
	read_bad(ARGS(), want);
	unlink(name);

	/* as much as is allowed gets as far as the setting's own bound */
	memset(large, 'x', sizeof(large));
	name = secret_file(large, 16384);
	setenv("EDGECAP_KEY_FILE", name, 1);
	read_bad(ARGS(),
		 "EDGECAP_KEY (--key): must be a text of 4..64 characters, not one of 16384");
	unlink(name);

	name = secret_file(large, sizeof(large));
	setenv("EDGECAP_KEY_FILE", name, 1);
	(void)snprintf(want, sizeof(want), "EDGECAP_KEY: %s has more than 16384 bytes", name);
	read_bad(ARGS(), want);
	unlink(name);
}

static void a_missing_setting_is_named(void **state)
{
	(void)state;
	static const struct setting one[] = {
		{"EDGECAP_DATABASE_URL", SETTING_SECRET, NULL, 1, 100, false, "where the data is"}};
	static const struct settings_program p = {"p", "x", one, 1, 0};
	struct settings *s = NULL;
	enum settings_outcome outcome = SETTINGS_RUN;
	struct error err = {0};

	assert_int_equal(read_args(&p, ARGS(), &s, &outcome, &err), EC_EINVAL);
	assert_string_equal(err.text,
			    "EDGECAP_DATABASE_URL (--database-url) is required: where the data is");
}

/* What settings_read prints on stdout. */
static void read_printing(const char *const *args, char *dst, size_t cap)
{
	FILE *out = tmpfile();
	struct settings *s = NULL;
	enum settings_outcome outcome = SETTINGS_RUN;
	struct error err = {0};

	fflush(stdout);
	int saved = dup(STDOUT_FILENO);
	dup2(fileno(out), STDOUT_FILENO);
	int r = read_args(&program, args, &s, &outcome, &err);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	assert_int_equal(r, 0);
	assert_int_equal(outcome, SETTINGS_EXIT);
	settings_free(s);
	rewind(out);
	size_t n = fread(dst, 1, cap - 1, out);
	dst[n] = '\0';
	(void)fclose(out);
}

static void version_is_one_line(void **state)
{
	(void)state;
	char text[100];

	read_printing(ARGS("--version"), text, sizeof(text));
	assert_string_equal(text, "edgecap-test " EDGECAP_VERSION "\n");
}

static void help_is_a_table_of_all_settings(void **state)
{
	(void)state;
	static const char *const lines[] = {
		"Usage: edgecap-test [flags] [--] [operands]\nTests settings.\n\n",
		"  FLAG       ENVIRONMENT      DEFAULT         RANGE                    MEANING\n",
		"  --listen   EDGECAP_LISTEN   127.0.0.1:8080  1..20 characters         where to "
		"listen\n",
		"  --key      EDGECAP_KEY      none            4..64 characters         a key\n",
		"  --workers  EDGECAP_WORKERS  2               1..64                    loops\n",
		"  --spool    EDGECAP_SPOOL    64MiB           at least 1MiB bytes      bytes on "
		"disk\n",
		"  --hold     EDGECAP_HOLD     10s             100ms..1m                longest "
		"poll\n",
		"  --loud     EDGECAP_LOUD     false           true or false            say more\n",
		"  --dry-run                                                            change "
		"nothing\n",
		"  --name     EDGECAP_NAME     none            any number of characters  a name\n",
		"  --help ",
		"  --version",
		"add _FILE to its variable",
	};
	char text[8192];

	/* help wins over what is wrong behind it */
	read_printing(ARGS("--help", "--bogus"), text, sizeof(text));
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		/* the widest cell decides the column: compare without runs of spaces */
		char want[200];
		size_t n = 0;
		for (const char *p = lines[i]; *p; p++) {
			if (!(p[0] == ' ' && p[1] == ' '))
				want[n++] = *p;
		}
		want[n] = '\0';
		char squeezed[8192];
		n = 0;
		for (const char *p = text; *p; p++) {
			if (!(p[0] == ' ' && p[1] == ' '))
				squeezed[n++] = *p;
		}
		squeezed[n] = '\0';
		if (!strstr(squeezed, want))
			fail_msg("no \"%s\" in:\n%s", want, text);
	}
	/* columns are aligned: every MEANING begins in the same column */
	const char *head = strstr(text, "  FLAG");
	ptrdiff_t column = strstr(head, "MEANING") - head;
	for (const char *line = head; *line != '\n'; line = strchr(line, '\n') + 1) {
		assert_int_equal(line[column - 1], ' ');
		assert_int_not_equal(line[column], ' ');
	}
}

static void help_without_secrets_or_operands_is_short(void **state)
{
	(void)state;
	struct buf out;

	buf_init(&out, 10000);
	settings_help_put("p", "about", table, 1, 0, &out);
	const char *text = buf_cstr(&out);
	assert_memory_equal(text, "Usage: p [flags]\n", 17);
	assert_null(strstr(text, "_FILE"));
	buf_fini(&out);
}

#define in_clean_environment(test) cmocka_unit_test_setup(test, clear_environment)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_clean_environment(defaults),
		in_clean_environment(environment_is_read),
		in_clean_environment(an_empty_variable_counts_as_not_set),
		in_clean_environment(flags_win_over_the_environment),
		in_clean_environment(a_boolean_flag_takes_no_next_argument),
		in_clean_environment(operands),
		in_clean_environment(a_value_may_look_like_a_flag),
		in_clean_environment(wrong_flags_are_named),
		in_clean_environment(wrong_values_name_setting_range_and_value),
		in_clean_environment(bounds_are_inclusive),
		in_clean_environment(a_secret_is_not_shown),
		in_clean_environment(secrets_come_from_files),
		in_clean_environment(bad_secret_files_are_named),
		in_clean_environment(a_missing_setting_is_named),
		in_clean_environment(version_is_one_line),
		in_clean_environment(help_is_a_table_of_all_settings),
		in_clean_environment(help_without_secrets_or_operands_is_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
