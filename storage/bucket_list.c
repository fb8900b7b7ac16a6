#include "storage/bucket_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

enum { TEXT_MAX = 1024 };

#define PEM_BEGIN "-----BEGIN CERTIFICATE-----"

struct entry {
	enum bucket_scheme scheme;
	char *endpoint; /* normal form, or with a placeholder */
	bool has_placeholder;
	char region[DESTINATION_REGION_MAX + 1]; /* "": any */
	bool virtual_host, private_address, plaintext;
	char *access_key_id, *secret_key; /* NULL with r2 */
	struct buf ca;
};

struct bucket_list {
	size_t count;
	struct entry entries[BUCKET_LIST_MAX];
};

/* --- reading a file --- */

static int read_file(const char *path, size_t limit, struct buf *dst, struct error *err)
{
	char piece[4096];
	size_t n = 0;
	FILE *f = fopen(path, "re");

	if (!f)
		return error_set_errno(err, EC_EINVAL, errno, "cannot open %.200s", path);
	buf_init(dst, limit);
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
		buf_put(dst, piece, n);
	bool bad = ferror(f) != 0;
	(void)fclose(f);
	explicit_bzero(piece, sizeof(piece));
	if (bad)
		return error_set(err, EC_EINVAL, "cannot read %.200s", path);
	if (dst->failed)
		return error_set(err, EC_EINVAL, "%.200s has more than %zu bytes", path, limit);
	return 0;
}

static bool key_good(const char *key)
{
	for (const char *p = key; *p; p++) {
		if (*p <= ' ' || *p > '~')
			return false;
	}
	return *key != '\0';
}

/* --- members --- */

static int text_get(const cJSON *obj, const char *name, const char **ret, struct error *err)
{
	int r = json_get_str(obj, name, TEXT_MAX, ret, err);

	return r < 0 ? error_set(err, EC_EINVAL, "%s must be a text of 1 to %d bytes", name,
				 TEXT_MAX)
		     : 0;
}

/* As text_get; absent is NULL. */
static int text_get_optional(const cJSON *obj, const char *name, const char **ret,
			     struct error *err)
{
	*ret = NULL;
	return json_get(obj, name) ? text_get(obj, name, ret, err) : 0;
}

static int bool_get(const cJSON *obj, const char *name, bool *ret, struct error *err)
{
	const cJSON *item = json_get(obj, name);

	if (item && !cJSON_IsBool(item))
		return error_set(err, EC_EINVAL, "%s must be true or false", name);
	*ret = cJSON_IsTrue(item);
	return 0;
}

/* An unknown member may be a misspelt "private": nothing is guessed. */
static int check_names(const cJSON *obj, struct error *err)
{
	static const char *const names[] = {"scheme",  "endpoint",      "region",
					    "style",   "access_key_id", "secret_access_key_file",
					    "ca_file", "private",       "plaintext"};

	for (const cJSON *m = obj->child; m; m = m->next) {
		bool known = false;
		for (size_t i = 0; i < ARRAY_LEN(names); i++)
			known = known || strcmp(m->string, names[i]) == 0;
		if (!known)
			return error_set(err, EC_EINVAL, "there is no member \"%.64s\"", m->string);
	}
	return 0;
}

static const char *placeholder_of(enum bucket_scheme scheme)
{
	return scheme == BUCKET_S3 ? "{region}" : scheme == BUCKET_R2 ? "{account-id}" : NULL;
}

/* endpoint with value in the place of its placeholder, in normal form. */
static int fill_in(const struct entry *e, const char *endpoint, const char *value, char *dst,
		   struct error *err)
{
	const char *mark = placeholder_of(e->scheme);
	const char *at = mark ? strstr(endpoint, mark) : NULL;
	char text[2 * TEXT_MAX];

	if (at)
		(void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - endpoint), endpoint,
			       value, at + strlen(mark));
	return endpoint_normalize(at ? text : endpoint, dst, err);
}

static int take_endpoint(struct entry *e, const cJSON *obj, struct error *err)
{
	const char *text = NULL, *mark = placeholder_of(e->scheme);
	char normal[DESTINATION_ENDPOINT_MAX + 1];

	if (text_get(obj, "endpoint", &text, err) < 0)
		return EC_EINVAL;
	e->has_placeholder = mark && strstr(text, mark);
	if (fill_in(e, text, "x", normal, err) < 0)
		return error_prefix(err, "endpoint");
	if (strncmp(normal, "http:", 5) == 0 && !e->plaintext)
		return error_set(err, EC_EINVAL,
				 "endpoint: http:// shows captures to whoever listens: add "
				 "\"plaintext\": true, or use https://");
	e->endpoint = strdup(e->has_placeholder ? text : normal);
	return e->endpoint ? 0 : error_set(err, EC_ENOMEM, "no memory");
}

static int take_region(struct entry *e, const cJSON *obj, struct error *err)
{
	const char *text = NULL;

	if (text_get_optional(obj, "region", &text, err) < 0)
		return EC_EINVAL;
	if (!text)
		return 0;
	if (e->scheme == BUCKET_S3 && e->has_placeholder)
		return error_set(err, EC_EINVAL,
				 "region: an endpoint with {region} is good for any");
	if (strlen(text) > DESTINATION_REGION_MAX)
		return error_set(err, EC_EINVAL, "region has %d bytes at most",
				 DESTINATION_REGION_MAX);
	memcpy(e->region, text, strlen(text) + 1);
	return 0;
}

static int take_style(struct entry *e, const cJSON *obj, struct error *err)
{
	const char *text = NULL;

	if (text_get_optional(obj, "style", &text, err) < 0)
		return EC_EINVAL;
	if (text && strcmp(text, "path") != 0 && strcmp(text, "virtual") != 0)
		return error_set(err, EC_EINVAL, "style must be \"path\" or \"virtual\"");
	e->virtual_host = text && text[0] == 'v';
	return 0;
}

static int take_secret(struct entry *e, const char *path, struct error *err)
{
	struct buf file = {.p = NULL};
	int r = read_file(path, TEXT_MAX, &file, err);

	if (r == 0) {
		if (file.n > 0 && file.p[file.n - 1] == '\n')
			file.n--;
		const char *text = buf_cstr(&file);
		if (!text || strlen(text) != file.n || !key_good(text))
			r = error_set(err, EC_EINVAL, "there is no key in %.200s", path);
		else if (!(e->secret_key = strdup(text)))
			r = error_set(err, EC_ENOMEM, "no memory");
	}
	if (file.p)
		explicit_bzero(file.p, file.cap);
	buf_fini(&file);
	return r < 0 ? error_prefix(err, "secret_access_key_file") : 0;
}

static int take_keys(struct entry *e, const cJSON *obj, struct error *err)
{
	const char *id = NULL, *path = NULL;

	if (e->scheme == BUCKET_R2) {
		if (json_get(obj, "access_key_id") || json_get(obj, "secret_access_key_file"))
			return error_set(err, EC_EINVAL,
					 "access_key_id: with r2 the keys are the tenant's");
		return 0;
	}
	if (text_get(obj, "access_key_id", &id, err) < 0 ||
	    text_get(obj, "secret_access_key_file", &path, err) < 0)
		return EC_EINVAL;
	if (!key_good(id))
		return error_set(err, EC_EINVAL, "access_key_id has a character that no key has");
	e->access_key_id = strdup(id);
	if (!e->access_key_id)
		return error_set(err, EC_ENOMEM, "no memory");
	return take_secret(e, path, err);
}

static int take_ca(struct entry *e, const cJSON *obj, struct error *err)
{
	const char *path = NULL;

	if (text_get_optional(obj, "ca_file", &path, err) < 0)
		return EC_EINVAL;
	if (!path)
		return 0;
	if (read_file(path, BUCKET_CA_BYTES_MAX, &e->ca, err) < 0)
		return error_prefix(err, "ca_file");
	if (!memmem(e->ca.p, e->ca.n, PEM_BEGIN, sizeof(PEM_BEGIN) - 1))
		return error_set(err, EC_EINVAL, "ca_file: there is no certificate (PEM) in %.200s",
				 path);
	return 0;
}

static int take_entry(struct entry *e, const cJSON *obj, struct error *err)
{
	const char *scheme = NULL;

	if (!cJSON_IsObject(obj))
		return error_set(err, EC_EINVAL, "it must be an object");
	if (check_names(obj, err) < 0 || text_get(obj, "scheme", &scheme, err) < 0)
		return EC_EINVAL;
	if (bucket_scheme_parse(scheme, &e->scheme) < 0)
		return error_set(err, EC_EINVAL, "scheme must be \"s3\", \"gs\" or \"r2\"");
	int r = bool_get(obj, "private", &e->private_address, err);
	if (r == 0)
		r = bool_get(obj, "plaintext", &e->plaintext, err);
	if (r == 0)
		r = take_endpoint(e, obj, err);
	if (r == 0)
		r = take_region(e, obj, err);
	if (r == 0)
		r = take_style(e, obj, err);
	if (r == 0)
		r = take_keys(e, obj, err);
	return r == 0 ? take_ca(e, obj, err) : r;
}

/* --- the list --- */

int bucket_list_parse(struct bytes text, struct bucket_list **ret, struct error *err)
{
	AUTO_JSON cJSON *tree = NULL;
	struct bucket_list *list = NULL;
	const cJSON *item = NULL;
	int r = json_parse(text, &tree, err);

	if (r < 0)
		return error_set(err, r == EC_ENOMEM ? r : EC_EINVAL, "%s",
				 r == EC_ENOMEM ? "no memory" : "it is not JSON, or not strictly");
	if (!cJSON_IsArray(tree))
		return error_set(err, EC_EINVAL, "it must be a list of objects");
	list = calloc(1, sizeof(*list));
	if (!list)
		return error_set(err, EC_ENOMEM, "no memory");
	cJSON_ArrayForEach(item, tree)
	{
		if (list->count >= BUCKET_LIST_MAX)
			r = error_set(err, EC_EINVAL, "more than %d entries", BUCKET_LIST_MAX);
		else if (take_entry(&list->entries[list->count++], item, err) < 0)
			r = error_prefix(err, "entry %zu", list->count);
		if (r < 0)
			break;
	}
	if (r < 0)
		bucket_list_free(list);
	else
		*ret = list;
	return r;
}

int bucket_list_load(const char *path, struct bucket_list **ret, struct error *err)
{
	struct buf file = {.p = NULL};
	int r = read_file(path, BUCKET_LIST_BYTES_MAX, &file, err);

	if (r == 0)
		r = bucket_list_parse(buf_bytes(&file), ret, err);
	buf_fini(&file);
	return r;
}

void bucket_list_free(struct bucket_list *list)
{
	if (!list)
		return;
	for (size_t i = 0; i < list->count; i++) {
		struct entry *e = &list->entries[i];
		if (e->secret_key)
			explicit_bzero(e->secret_key, strlen(e->secret_key));
		free(e->secret_key);
		free(e->access_key_id);
		free(e->endpoint);
		buf_fini(&e->ca);
	}
	free(list);
}

/* --- looking up --- */

static bool allows(const struct entry *e, const struct destination *d)
{
	const char *value = d->scheme == BUCKET_S3 ? d->region : d->account_id;
	char endpoint[DESTINATION_ENDPOINT_MAX + 1];

	if (e->scheme != d->scheme)
		return false;
	if (d->scheme == BUCKET_S3 && e->region[0] && strcmp(e->region, d->region) != 0)
		return false;
	if (!e->has_placeholder)
		return strcmp(e->endpoint, d->endpoint) == 0;
	return fill_in(e, e->endpoint, value, endpoint, NULL) == 0 &&
	       strcmp(endpoint, d->endpoint) == 0;
}

static void place_make(const struct entry *e, const struct destination *d, struct s3_place *ret)
{
	const char *host = strstr(d->endpoint, "://") + 3;
	const char *region = d->scheme == BUCKET_S3 ? d->region : e->region;

	memset(ret, 0, sizeof(*ret));
	ret->tls = strncmp(d->endpoint, "https:", 6) == 0;
	/* no certificate covers a name with more dots than the endpoint's */
	ret->virtual_host = e->virtual_host && !strchr(d->bucket, '.');
	ret->stall_s = BUCKET_STALL_S;
	(void)snprintf(ret->bucket, sizeof(ret->bucket), "%s", d->bucket);
	(void)snprintf(ret->prefix, sizeof(ret->prefix), "%s%s", d->dir, d->dir[0] ? "/" : "");
	(void)snprintf(ret->region, sizeof(ret->region), "%s", region[0] ? region : "auto");
	(void)snprintf(ret->host, sizeof(ret->host), "%s%s%s", ret->virtual_host ? d->bucket : "",
		       ret->virtual_host ? "." : "", host);
}

int bucket_list_find(const struct bucket_list *list, const struct destination *d,
		     struct bucket_access *ret, struct error *err)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct entry *e = &list->entries[i];
		if (!allows(e, d))
			continue;
		*ret = (struct bucket_access){
			.access_key_id = e->access_key_id ? e->access_key_id : d->access_key_id,
			.secret_key = e->secret_key ? e->secret_key : d->secret_access_key,
			.ca_pem = buf_bytes(&e->ca),
			.private_address = e->private_address,
		};
		place_make(e, d, &ret->place);
		return 0;
	}
	return error_set(err, EC_EPERM,
			 "the endpoint, with this scheme and region, is not one that this "
			 "deployment allows");
}
