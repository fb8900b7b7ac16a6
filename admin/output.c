#include "admin/output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

enum { COLUMNS_MAX = 16 };

/* Bytes of the character at p that does something to a terminal, 0 when it is another: a control (U+0000 to U+001F, U+007F to U+009F),
 * the end of a line or a paragraph, or a change of the direction of writing (U+2028 to U+202E, U+2066 to U+2069). */
static size_t control_bytes(const unsigned char *p)
{
	if (p[0] < ' ' || p[0] == 0x7f)
		return 1;
	if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f)
		return 2;
	bool lines = p[0] == 0xe2 && p[1] == 0x80 && p[2] >= 0xa8 && p[2] <= 0xae;
	bool isolates = p[0] == 0xe2 && p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9;
	return lines || isolates ? 3 : 0;
}

/* A text without what would break the table or the terminal. Names are the tenants'. */
static void put_plain(struct buf *out, const char *text)
{
	while (*text) {
		size_t n = control_bytes((const unsigned char *)text);
		buf_put(out, n > 0 ? "?" : text, 1);
		text += n > 0 ? n : 1;
	}
}

static void put_scalar(struct buf *out, const cJSON *value)
{
	if (!value || cJSON_IsNull(value))
		buf_puts(out, "-");
	else if (cJSON_IsBool(value))
		buf_puts(out, cJSON_IsTrue(value) ? "yes" : "no");
	else if (cJSON_IsString(value))
		put_plain(out, value->valuestring[0] ? value->valuestring : "-");
	else if (cJSON_IsNumber(value))
		buf_printf(out, "%.0f", value->valuedouble);
	else
		buf_puts(out, "...");
}

static void put_cell(struct buf *out, const cJSON *value)
{
	if (!cJSON_IsArray(value)) {
		put_scalar(out, value);
		return;
	}
	if (cJSON_GetArraySize(value) == 0)
		buf_puts(out, "-");
	for (const cJSON *item = value->child; item; item = item->next) {
		put_scalar(out, item);
		if (item->next)
			buf_puts(out, ",");
	}
}

/* Characters (not bytes) of a text: UTF-8 continuation bytes take no room. */
static size_t cell_width(const cJSON *value)
{
	struct buf cell;
	size_t width = 0;

	buf_init(&cell, OUTPUT_BYTES_MAX);
	put_cell(&cell, value);
	for (size_t i = 0; i < cell.n; i++)
		width += (cell.p[i] & 0xc0) != 0x80;
	buf_fini(&cell);
	return width;
}

static void put_padding(struct buf *out, size_t used, size_t width)
{
	for (; used < width + 2; used++)
		buf_puts(out, " ");
}

static void put_object(struct buf *out, const cJSON *object)
{
	size_t width = 0;

	for (const cJSON *item = object->child; item; item = item->next)
		width = strlen(item->string) > width ? strlen(item->string) : width;
	for (const cJSON *item = object->child; item; item = item->next) {
		buf_puts(out, item->string);
		put_padding(out, strlen(item->string), width);
		put_cell(out, item);
		buf_puts(out, "\n");
	}
}

static void put_rows(struct buf *out, const cJSON *array, const char *const *columns)
{
	size_t widths[COLUMNS_MAX] = {0};
	size_t count = 0;

	for (; columns[count]; count++) {
		EC_ASSERT(count < COLUMNS_MAX);
		widths[count] = strlen(columns[count]);
		for (const cJSON *row = array->child; row; row = row->next) {
			size_t width = cell_width(json_get(row, columns[count]));
			widths[count] = width > widths[count] ? width : widths[count];
		}
	}
	for (size_t i = 0; i < count; i++) {
		for (const char *p = columns[i]; *p; p++)
			buf_printf(out, "%c", *p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p);
		if (i + 1 < count)
			put_padding(out, strlen(columns[i]), widths[i]);
	}
	buf_puts(out, "\n");
	for (const cJSON *row = array->child; row; row = row->next) {
		for (size_t i = 0; i < count; i++) {
			const cJSON *cell = json_get(row, columns[i]);
			put_cell(out, cell);
			if (i + 1 < count)
				put_padding(out, cell_width(cell), widths[i]);
		}
		buf_puts(out, "\n");
	}
}

void output_table(const cJSON *value, const char *const *columns, struct buf *out)
{
	if (cJSON_IsArray(value))
		put_rows(out, value, columns);
	else
		put_object(out, value);
}

void output_add_time(cJSON *object, const char *name, int64_t us)
{
	if (us > 0)
		json_add_time(object, name, us);
	else
		json_add_str(object, name, NULL);
}

int output_print(cJSON *value, const char *const *columns, bool json, struct error *err)
{
	AUTO_JSON cJSON *owned = value;
	AUTO_FREE char *text = json_print(owned); /* NULL when something is missing in the tree */
	struct buf out;
	int code = 0;

	if (!text)
		return error_set(err, EC_ENOMEM, "out of memory");
	buf_init(&out, OUTPUT_BYTES_MAX);
	if (json)
		buf_printf(&out, "%s\n", text);
	else
		output_table(owned, columns, &out);
	if (out.failed)
		code = error_set(err, out.failed, "cannot print: more than %d bytes",
				 OUTPUT_BYTES_MAX);
	else if (fwrite(out.p, 1, out.n, stdout) != out.n || fflush(stdout) != 0)
		code = error_set_errno(err, EC_EIO, errno, "cannot write to stdout");
	buf_fini(&out);
	return code;
}
