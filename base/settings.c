#include "base/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/parse.h"
#include "base/settings_help.h"
#include "version.h"

enum { SECRET_FILE_BYTES_MAX = 16 * 1024 };

/* What was found for one row. Where a text came from decides which one wins. */
struct value {
	char *text; /* owned copy; NULL: absent */
	uint64_t number;
	bool given;
	const char *file;           /* from argv or the environment: where a secret was read */
	const char *flag_text;      /* from argv */
	const char *flag_file_text; /* from argv: --name-file */
};

struct settings {
	const struct setting *table;
	size_t count;
	const char **operands;
	size_t operand_count;
	struct value values[]; /* one for each row */
};

static void secret_free(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

void settings_free(struct settings *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->count; i++)
		secret_free(s->values[i].text);
	free(s->operands);
	free(s);
}

static struct settings *settings_new(const struct setting *table, size_t count, int argc)
{
	struct settings *s = calloc(1, sizeof(*s) + count * sizeof(s->values[0]));
	const char **operands = calloc((size_t)argc + 1, sizeof(*operands));

	if (!s || !operands) {
		free(s);
		free(operands);
		return NULL;
	}
	s->table = table;
	s->count = count;
	s->operands = operands;
	return s;
}

/* The row whose flag is the name in arg (up to '=' or the end); *ret_file: it was --name-file. */
static const struct setting *find_flag(const struct settings *s, struct bytes name, bool *ret_file)
{
	char flag[SETTING_FLAG_BYTES + sizeof("-file")];

	for (size_t i = 0; i < s->count; i++) {
		setting_flag_format(&s->table[i], flag);
		*ret_file = false;
		if (bytes_equal(name, bytes_of(flag)))
			return &s->table[i];
		if (s->table[i].kind != SETTING_SECRET)
			continue;
		*ret_file = true;
		memcpy(flag + strlen(flag), "-file", sizeof("-file"));
		if (bytes_equal(name, bytes_of(flag)))
			return &s->table[i];
	}
	return NULL;
}

/* One flag at argv[*at]; *at moves on to its value when that is the next argument. */
static int read_flag(struct settings *s, int argc, char *const *argv, int *at, struct error *err)
{
	const char *arg = argv[*at];
	const char *equals = strchr(arg, '=');
	struct bytes name = equals ? (struct bytes){(const uint8_t *)arg, (size_t)(equals - arg)}
				   : bytes_of(arg);
	bool file = false;
	const struct setting *row = find_flag(s, name, &file);
	const char *text = equals ? equals + 1 : NULL;

	if (!row)
		return error_set(err, EC_EINVAL, "unknown flag %.*s (see --help)", (int)name.n,
				 arg);
	if (row->kind == SETTING_FLAG && text)
		return error_set(err, EC_EINVAL, "%.*s takes no value", (int)name.n, arg);
	if (!text && (row->kind == SETTING_FLAG || row->kind == SETTING_BOOL))
		text = "true";
	if (!text && *at + 1 < argc)
		text = argv[++*at];
	if (!text)
		return error_set(err, EC_EINVAL, "%.*s needs a value", (int)name.n, arg);
	struct value *value = &s->values[row - s->table];
	*(file ? &value->flag_file_text : &value->flag_text) = text;
	return 0;
}

/* Walk argv: flags into values, the rest into operands. */
static int read_arguments(struct settings *s, int argc, char *const *argv, size_t max_operands,
			  enum settings_outcome *outcome, struct error *err)
{
	bool flags = true;

	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i];
		if (flags && strcmp(arg, "--") == 0) {
			flags = false;
		} else if (flags && (strcmp(arg, "--help") == 0 || strcmp(arg, "--version") == 0)) {
			*outcome = SETTINGS_EXIT;
			s->operands[0] = arg;
			return 0;
		} else if (flags && arg[0] == '-' && arg[1] != '\0') {
			int r = read_flag(s, argc, argv, &i, err);
			if (r < 0)
				return r;
		} else if (s->operand_count == max_operands) {
			return error_set(err, EC_EINVAL, "unexpected operand \"%s\" (see --help)",
					 arg);
		} else {
			s->operands[s->operand_count++] = arg;
		}
	}
	return 0;
}

/* Read the whole file into a new text without its trailing newline. what: the setting, for errors. */
static int read_secret_file(const char *what, const char *path, char **ret, struct error *err)
{
	char raw[SECRET_FILE_BYTES_MAX + 1];
	size_t n = 0;
	int r = 0;
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_set_errno(err, EC_EINVAL, errno, "%s: cannot open %s", what, path);
	while (n < sizeof(raw)) {
		ssize_t got = read(fd, raw + n, sizeof(raw) - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			r = error_set_errno(err, EC_EINVAL, errno, "%s: cannot read %s", what,
					    path);
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	if (r == 0 && n > SECRET_FILE_BYTES_MAX)
		r = error_set(err, EC_EINVAL, "%s: %s has more than %d bytes", what, path,
			      SECRET_FILE_BYTES_MAX);
	if (r == 0 && memchr(raw, '\0', n))
		r = error_set(err, EC_EINVAL, "%s: %s contains a NUL byte", what, path);
	if (n > 0 && raw[n - 1] == '\n')
		n--;
	if (n > 0 && raw[n - 1] == '\r')
		n--;
	if (r == 0 && !(*ret = strndup(raw, n)))
		r = error_set(err, EC_ENOMEM, "%s: out of memory", what);
	explicit_bzero(raw, sizeof(raw));
	return r;
}

/* An environment variable; NULL also when it is empty. */
static const char *environment(const char *name, const char *suffix)
{
	char full[SETTING_FLAG_BYTES + 16];

	(void)snprintf(full, sizeof(full), "%s%s", name, suffix);
	const char *v = getenv(full);
	return v && *v ? v : NULL;
}

/* Decide where the text of a row comes from: flag, environment, default. */
static int choose_text(const struct setting *row, struct value *value, struct error *err)
{
	const char *text = value->flag_text;
	const char *file = value->flag_file_text;

	if (!text && !file && row->kind != SETTING_FLAG) {
		text = environment(row->name, "");
		if (row->kind == SETTING_SECRET)
			file = environment(row->name, "_FILE");
	}
	if (text && file)
		return error_set(err, EC_EINVAL, "both %s and %s_FILE are set", row->name,
				 row->name);
	value->given = text || file;
	value->file = file;
	if (file)
		return read_secret_file(row->name, file, &value->text, err);
	if (!text)
		text = row->fallback;
	if (!text)
		return 0;
	value->text = strdup(text);
	return value->text ? 0 : error_set(err, EC_ENOMEM, "%s: out of memory", row->name);
}

/* Convert the text to the kind's number. Returns 0, EC_EFORMAT or EC_ELIMIT. */
static int convert(const struct setting *row, struct value *value)
{
	struct bytes text = bytes_of(value->text);
	uint64_t max = row->max > 0 ? row->max : UINT64_MAX;
	bool yes = false;
	int r = 0;

	switch (row->kind) {
	case SETTING_STR:
	case SETTING_SECRET:
		return text.n < row->min || text.n > max ? EC_ELIMIT : 0;
	case SETTING_INT:
		return parse_u64(text, row->min, max, &value->number);
	case SETTING_SIZE:
		return parse_size(text, row->min, max, &value->number);
	case SETTING_DURATION:
		return parse_duration_ms(text, row->min, max, &value->number);
	case SETTING_BOOL:
	case SETTING_FLAG:
		r = parse_bool(text, &yes);
		value->number = yes;
		return r;
	}
	return EC_EINTERNAL;
}

static const char *kind_text(enum setting_kind kind)
{
	switch (kind) {
	case SETTING_STR:
	case SETTING_SECRET:
		return "a text of";
	case SETTING_INT:
		return "a whole number,";
	case SETTING_SIZE:
		return "a size (65536, 64KiB, 1MB),";
	case SETTING_DURATION:
		return "a duration (500ms, 30s, 5m, 24h, 7d),";
	case SETTING_BOOL:
	case SETTING_FLAG:
		return "one of";
	}
	return "";
}

/* The message of a value that convert refused. A secret's value is not shown. */
static int fail_value(const struct setting *row, const struct value *value, struct error *err)
{
	char flag[SETTING_FLAG_BYTES];
	char seen[EC_ERROR_TEXT_BYTES];
	struct buf range;

	setting_flag_format(row, flag);
	buf_init(&range, EC_ERROR_TEXT_BYTES);
	setting_range_put(row, &range);
	const char *text = buf_cstr(&range);
	if (row->kind == SETTING_SECRET)
		(void)snprintf(seen, sizeof(seen), "one of %zu", strlen(value->text));
	else
		(void)snprintf(seen, sizeof(seen), "\"%.128s\"", value->text);
	(void)error_set(err, EC_EINVAL, "%s (%s): must be %s %s, not %s", row->name, flag,
			kind_text(row->kind), text ? text : "", seen);
	buf_fini(&range);
	return EC_EINVAL;
}

static int read_value(const struct setting *row, struct value *value, struct error *err)
{
	char flag[SETTING_FLAG_BYTES];
	int r = choose_text(row, value, err);

	if (r < 0)
		return r;
	if (value->text)
		return convert(row, value) < 0 ? fail_value(row, value, err) : 0;
	if (row->optional || row->kind == SETTING_FLAG)
		return 0;
	setting_flag_format(row, flag);
	return error_set(err, EC_EINVAL, "%s (%s) is required: %s", row->name, flag, row->help);
}

/* --help or --version on stdout. */
static int print_text(const char *prog, const char *about, const struct settings *s,
		      size_t max_operands, struct error *err)
{
	struct buf out;

	buf_init(&out, (size_t)1 << 20);
	if (strcmp(s->operands[0], "--version") == 0)
		buf_printf(&out, "%s %s\n", prog, EDGECAP_VERSION);
	else
		settings_help_put(prog, about, s->table, s->count, max_operands, &out);
	const char *text = buf_cstr(&out);
	bool ok = text && fputs(text, stdout) >= 0 && fflush(stdout) == 0;
	buf_fini(&out);
	return ok ? 0 : error_set(err, EC_EINVAL, "cannot write to stdout");
}

int settings_read(const struct settings_program *program, int argc, char *const *argv,
		  struct settings **ret, enum settings_outcome *outcome, struct error *err)
{
	enum settings_outcome what = SETTINGS_RUN;
	struct settings *s = settings_new(program->table, program->count, argc);

	if (!s)
		return error_set(err, EC_ENOMEM, "out of memory");
	int r = read_arguments(s, argc, argv, program->max_operands, &what, err);
	if (r == 0 && what == SETTINGS_EXIT)
		r = print_text(program->prog, program->about, s, program->max_operands, err);
	for (size_t i = 0; r == 0 && what == SETTINGS_RUN && i < s->count; i++)
		r = read_value(&s->table[i], &s->values[i], err);
	if (r < 0) {
		settings_free(s);
		return r;
	}
	*outcome = what;
	*ret = s;
	return 0;
}

static const struct value *find(const struct settings *s, const char *name,
				const struct setting **ret_row)
{
	for (size_t i = 0; i < s->count; i++) {
		if (strcmp(s->table[i].name, name) == 0) {
			*ret_row = &s->table[i];
			return &s->values[i];
		}
	}
	EC_ASSERT(!"the setting is in the program's table");
	return NULL;
}

const char *settings_str(const struct settings *s, const char *name)
{
	const struct setting *row = NULL;

	return find(s, name, &row)->text;
}

uint64_t settings_u64(const struct settings *s, const char *name)
{
	const struct setting *row = NULL;
	const struct value *value = find(s, name, &row);

	EC_ASSERT(row->kind == SETTING_INT || row->kind == SETTING_SIZE ||
		  row->kind == SETTING_DURATION);
	return value->number;
}

bool settings_bool(const struct settings *s, const char *name)
{
	const struct setting *row = NULL;
	const struct value *value = find(s, name, &row);

	EC_ASSERT(row->kind == SETTING_BOOL || row->kind == SETTING_FLAG);
	return value->number != 0;
}

bool settings_given(const struct settings *s, const char *name)
{
	const struct setting *row = NULL;

	return find(s, name, &row)->given;
}

const char *settings_file(const struct settings *s, const char *name)
{
	const struct setting *row = NULL;
	const struct value *value = find(s, name, &row);

	EC_ASSERT(row->kind == SETTING_SECRET);
	return value->file;
}

const char *settings_operand(const struct settings *s, size_t i)
{
	return i < s->operand_count ? s->operands[i] : NULL;
}
