#include "base/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/parse.h"
#include "base/utf8.h"

/* Members of an object up to which names are compared pair by pair. */
enum { FEW_MEMBERS = 16 };

/* Marks a tree from which a failed allocation left something out; above all of cJSON's own bits. */
enum { JSON_INCOMPLETE = 1 << 20 };

/* From here on cJSON prints a double with rounding or an exponent; below, digit for digit. */
static const int64_t cjson_exact_max = 999999999999999;

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int fail_duplicate(const char *name, struct error *err)
{
	return error_set(err, EC_EFORMAT, "JSON: member \"%.64s\" occurs twice", name);
}

/* Few members: no allocation. */
static int check_few(const cJSON *obj, struct error *err)
{
	for (const cJSON *a = obj->child; a; a = a->next) {
		for (const cJSON *b = a->next; b; b = b->next) {
			if (strcmp(a->string, b->string) == 0)
				return fail_duplicate(a->string, err);
		}
	}
	return 0;
}

/* Many members: sorted, so that a hostile object does not cost n^2. */
static int check_many(const cJSON *obj, size_t count, struct error *err)
{
	AUTO_FREE const char **names = calloc(count, sizeof(*names));
	size_t n = 0;

	if (!names)
		return error_set(err, EC_ENOMEM, "JSON: out of memory");
	for (const cJSON *m = obj->child; m; m = m->next)
		names[n++] = m->string;
	qsort(names, n, sizeof(*names), compare_names);
	for (size_t i = 1; i < n; i++) {
		if (strcmp(names[i - 1], names[i]) == 0)
			return fail_duplicate(names[i], err);
	}
	return 0;
}

/* Look for duplicate names in item and below; json_check has bounded the depth. */
static int check_names(const cJSON *item, struct error *err)
{
	size_t count = 0;

	for (const cJSON *child = item->child; child; child = child->next) {
		int r = check_names(child, err);
		if (r < 0)
			return r;
		count++;
	}
	if (!cJSON_IsObject(item))
		return 0;
	return count <= FEW_MEMBERS ? check_few(item, err) : check_many(item, count, err);
}

int json_parse(struct bytes text, cJSON **ret, struct error *err)
{
	int r = json_check(text, err);

	if (r < 0)
		return r;
	/* The grammar was checked: what makes cJSON fail now is the want of memory. */
	AUTO_JSON cJSON *tree = cJSON_ParseWithLength((const char *)text.p, text.n);
	if (!tree)
		return error_set(err, EC_ENOMEM, "JSON: out of memory");
	r = check_names(tree, err);
	if (r < 0)
		return r;
	*ret = TAKE(tree);
	return 0;
}

void json_auto_delete(cJSON **p)
{
	cJSON_Delete(*p);
}

int json_int(const cJSON *item, int64_t min, int64_t max, int64_t *ret)
{
	double d = 0;

	if (cJSON_IsRaw(item)) /* from json_add_int, not from a client */
		d = strtod(item->valuestring, NULL);
	else if (cJSON_IsNumber(item))
		d = item->valuedouble;
	else
		return EC_EFORMAT;
	if (!isfinite(d) || trunc(d) != d)
		return EC_EFORMAT;
	if (d < -(double)JSON_INT_MAX || d > (double)JSON_INT_MAX)
		return EC_ELIMIT;
	int64_t v = (int64_t)d;
	if (v < min || v > max)
		return EC_ELIMIT;
	*ret = v;
	return 0;
}

const cJSON *json_get(const cJSON *obj, const char *name)
{
	return cJSON_IsObject(obj) ? cJSON_GetObjectItemCaseSensitive(obj, name) : NULL;
}

int json_get_str(const cJSON *obj, const char *name, size_t max_len, const char **ret,
		 struct error *err)
{
	const cJSON *item = json_get(obj, name);

	if (!item)
		return error_set(err, EC_ENOTFOUND, "/%s is missing", name);
	if (!cJSON_IsString(item))
		return error_set(err, EC_EFORMAT, "/%s must be a string", name);
	size_t n = strlen(item->valuestring);
	if (n < 1 || n > max_len)
		return error_set(err, EC_ELIMIT, "/%s must have 1 to %zu bytes, it has %zu", name,
				 max_len, n);
	*ret = item->valuestring;
	return 0;
}

int json_get_int(const cJSON *obj, const char *name, int64_t min, int64_t max, int64_t *ret,
		 struct error *err)
{
	const cJSON *item = json_get(obj, name);

	if (!item)
		return error_set(err, EC_ENOTFOUND, "/%s is missing", name);
	int r = json_int(item, min, max, ret);
	if (r == EC_EFORMAT)
		return error_set(err, r, "/%s must be an integer", name);
	if (r == EC_ELIMIT)
		return error_set(err, r, "/%s must be within %" PRId64 " and %" PRId64, name, min,
				 max);
	return r;
}

/* Note in obj that something could not be added; NULL (it was never made) needs no note. */
static void mark_incomplete(cJSON *obj)
{
	if (obj)
		obj->type |= JSON_INCOMPLETE;
}

void json_add_int(cJSON *obj, const char *name, int64_t v)
{
	char text[24];
	cJSON *item = NULL;

	if (v > JSON_INT_MAX)
		v = JSON_INT_MAX;
	if (v < -JSON_INT_MAX)
		v = -JSON_INT_MAX;
	if (v >= -cjson_exact_max && v <= cjson_exact_max) {
		item = cJSON_AddNumberToObject(obj, name, (double)v);
	} else {
		(void)snprintf(text, sizeof(text), "%" PRId64, v);
		item = cJSON_AddRawToObject(obj, name, text);
	}
	if (!item)
		mark_incomplete(obj);
}

void json_add_str(cJSON *obj, const char *name, const char *v)
{
	cJSON *item = NULL;

	if (!v) {
		item = cJSON_AddNullToObject(obj, name);
	} else if (utf8_valid(bytes_of(v))) {
		item = cJSON_AddStringToObject(obj, name, v);
	} else {
		struct buf repaired;
		buf_init(&repaired, SIZE_MAX);
		utf8_put_repaired(&repaired, bytes_of(v));
		const char *text = buf_cstr(&repaired);
		item = text ? cJSON_AddStringToObject(obj, name, text) : NULL;
		buf_fini(&repaired);
	}
	if (!item)
		mark_incomplete(obj);
}

void json_add_time(cJSON *obj, const char *name, int64_t us)
{
	char text[CLOCK_RFC3339_BYTES];

	clock_format_rfc3339(us, text);
	json_add_str(obj, name, text);
}

void json_add_bool(cJSON *obj, const char *name, bool v)
{
	if (!cJSON_AddBoolToObject(obj, name, v))
		mark_incomplete(obj);
}

void json_add_item(cJSON *obj, const char *name, cJSON *item)
{
	if (item && cJSON_AddItemToObject(obj, name, item))
		return;
	cJSON_Delete(item);
	mark_incomplete(obj);
}

void json_push(cJSON *array, cJSON *item)
{
	if (item && cJSON_AddItemToArray(array, item))
		return;
	cJSON_Delete(item);
	mark_incomplete(array);
}

cJSON *json_add_object(cJSON *obj, const char *name)
{
	cJSON *item = cJSON_AddObjectToObject(obj, name);

	if (!item)
		mark_incomplete(obj);
	return item;
}

cJSON *json_add_array(cJSON *obj, const char *name)
{
	cJSON *item = cJSON_AddArrayToObject(obj, name);

	if (!item)
		mark_incomplete(obj);
	return item;
}

/* Was something left out of item or below? Trees of ours are as deep as our code nests them. */
static bool is_incomplete(const cJSON *item)
{
	if (item->type & JSON_INCOMPLETE)
		return true;
	for (const cJSON *child = item->child; child; child = child->next) {
		if (is_incomplete(child))
			return true;
	}
	return false;
}

char *json_print(const cJSON *tree)
{
	if (!tree || is_incomplete(tree))
		return NULL;
	return cJSON_PrintUnformatted(tree);
}
