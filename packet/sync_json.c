#include "packet/sync_json.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "packet/sync_message.h"

enum { WORD_BYTES_MAX = 64 };

/* Keep the first failure of a getter; what is missing has the wrong form. */
static bool noted(struct sync_reader *r, int rc)
{
	if (rc == 0)
		return false;
	r->rc = rc == EC_ENOTFOUND ? EC_EFORMAT : rc;
	if (r->err)
		r->err->code = r->rc;
	return true;
}

void sync_fail(struct sync_reader *r, int code, const char *fmt, ...)
{
	char text[EC_ERROR_TEXT_BYTES];
	va_list args;
	if (r->rc != 0)
		return;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	r->rc = error_set(r->err, code, "%s", text);
}

void sync_at(struct sync_reader *r, const char *list, size_t index)
{
	if (r->rc != 0)
		(void)error_prefix(r->err, "/%s/%zu", list, index);
}

cJSON *sync_open(struct sync_reader *r, struct bytes text)
{
	cJSON *tree = NULL;
	if (text.n > LIMIT_SYNC_BYTES) {
		sync_fail(r, EC_ELIMIT, "sync message of %zu bytes, the limit is %d", text.n,
			  LIMIT_SYNC_BYTES);
		return NULL;
	}
	if (noted(r, json_parse(text, &tree, r->err)))
		return NULL;
	uint64_t version = 0;
	if (!cJSON_IsObject(tree))
		sync_fail(r, EC_EFORMAT, "sync message is not an object");
	else
		version = sync_get_u64(r, tree, "version", 0, UINT32_MAX);
	if (version != SYNC_VERSION)
		sync_fail(r, EC_EFORMAT, "/version is %" PRIu64 ", this program speaks %d", version,
			  SYNC_VERSION);
	if (r->rc == 0)
		return tree;
	cJSON_Delete(tree);
	return NULL;
}

uint64_t sync_get_u64(struct sync_reader *r, const cJSON *obj, const char *name, uint64_t min,
		      uint64_t max)
{
	int64_t v = 0;
	if (r->rc != 0 || noted(r, json_get_int(obj, name, (int64_t)min, (int64_t)max, &v, r->err)))
		return 0;
	return (uint64_t)v;
}

uint32_t sync_get_u32(struct sync_reader *r, const cJSON *obj, const char *name, uint32_t min,
		      uint32_t max)
{
	return (uint32_t)sync_get_u64(r, obj, name, min, max);
}

int64_t sync_get_time(struct sync_reader *r, const cJSON *obj, const char *name)
{
	return (int64_t)sync_get_u64(r, obj, name, 0, JSON_INT_MAX);
}

bool sync_get_bool(struct sync_reader *r, const cJSON *obj, const char *name)
{
	const cJSON *item = json_get(obj, name);
	if (!cJSON_IsBool(item))
		sync_fail(r, EC_EFORMAT, "/%s must be true or false", name);
	return r->rc == 0 && cJSON_IsTrue(item);
}

const char *sync_get_word(struct sync_reader *r, const cJSON *obj, const char *name, bool optional)
{
	const char *word = "";
	if (r->rc != 0 || (optional && !json_get(obj, name)))
		return "";
	if (noted(r, json_get_str(obj, name, WORD_BYTES_MAX, &word, r->err)))
		return "";
	return word;
}

struct id sync_get_id(struct sync_reader *r, const cJSON *obj, const char *name)
{
	struct id id = {0};
	const char *text = sync_get_word(r, obj, name, false);
	if (r->rc == 0 && id_parse(bytes_of(text), &id) < 0)
		sync_fail(r, EC_EFORMAT, "/%s is not an id of %d hex digits", name, ID_HEX_LEN);
	return id;
}

const char *sync_get_text(struct sync_reader *r, const cJSON *obj, const char *name,
			  size_t max_bytes, bool optional)
{
	const char *text = NULL;
	if (r->rc != 0 || (optional && !json_get(obj, name)))
		return NULL;
	if (noted(r, json_get_str(obj, name, max_bytes, &text, r->err)))
		return NULL;
	char *copy = arena_strdup(r->arena, text);
	if (!copy)
		sync_fail(r, EC_ENOMEM, "no memory for /%s", name);
	return copy;
}

const cJSON *sync_get_object(struct sync_reader *r, const cJSON *obj, const char *name)
{
	const cJSON *item = json_get(obj, name);
	if (!cJSON_IsObject(item))
		sync_fail(r, EC_EFORMAT, "/%s must be an object", name);
	return item;
}

const cJSON *sync_get_list(struct sync_reader *r, const cJSON *obj, const char *name, size_t max,
			   size_t *ret_count)
{
	const cJSON *list = json_get(obj, name);
	size_t count = 0;
	*ret_count = 0;
	if (!cJSON_IsArray(list))
		sync_fail(r, EC_EFORMAT, "/%s must be an array", name);
	if (r->rc != 0)
		return NULL;
	for (const cJSON *item = list->child; item; item = item->next)
		count++;
	if (count > max) {
		sync_fail(r, EC_ELIMIT, "/%s has %zu elements, the limit is %zu", name, count, max);
		return NULL;
	}
	*ret_count = count;
	return list->child;
}

void *sync_new(struct sync_reader *r, size_t count, size_t size)
{
	if (r->rc != 0 || count == 0)
		return NULL;
	void *p = arena_calloc(r->arena, count, size);
	if (!p)
		sync_fail(r, EC_ENOMEM, "no memory for %zu elements", count);
	return p;
}

static int key_compare(const void *va, const void *vb)
{
	const struct sync_part_key *a = va, *b = vb;
	int c = memcmp(a->pcap.hex, b->pcap.hex, ID_HEX_LEN);
	return c != 0 ? c : memcmp(a->account.hex, b->account.hex, ID_HEX_LEN);
}

void sync_check_unique(struct sync_reader *r, struct sync_part_key *keys, size_t count)
{
	if (r->rc != 0 || count == 0)
		return;
	qsort(keys, count, sizeof(*keys), key_compare);
	for (size_t i = 1; i < count; i++) {
		if (key_compare(&keys[i - 1], &keys[i]) == 0)
			sync_fail(r, EC_EFORMAT, "/parts has %s twice", keys[i].pcap.hex);
	}
}

void sync_add_text(cJSON *obj, const char *name, const char *text, size_t max_bytes)
{
	struct buf b;
	EC_ASSERT(text && text[0]);
	buf_init(&b, SIZE_MAX);
	utf8_put_repaired(&b, bytes_of(text));
	if (b.n > max_bytes) {
		b.n = max_bytes;
		while (b.n > 0 && (b.p[b.n] & 0xc0) == 0x80)
			b.n--;
	}
	const char *fit = buf_cstr(&b);
	json_add_item(obj, name, fit ? cJSON_CreateString(fit) : NULL);
	buf_fini(&b);
}

void sync_add_u64(cJSON *obj, const char *name, uint64_t v)
{
	json_add_int(obj, name, v > JSON_INT_MAX ? JSON_INT_MAX : (int64_t)v);
}

int sync_close(const cJSON *tree, struct buf *out)
{
	AUTO_FREE char *text = json_print(tree);
	if (!text)
		return EC_ENOMEM;
	size_t n = strlen(text);
	if (n > LIMIT_SYNC_BYTES)
		return EC_ELIMIT;
	buf_put(out, text, n);
	return out->failed;
}
