#include <string.h>

#include "base/json.h"
#include "packet/pcapng.h"
#include "packet/sync_json.h"
#include "packet/sync_message.h"
#include "packet/sync_scopes.h"

enum { GRANTS_MAX = LIMIT_STREAMS * LIMIT_UPLOAD_GRANTS };

static cJSON *grant_to_json(const struct sync_grant *g)
{
	cJSON *obj = cJSON_CreateObject();
	EC_ASSERT(strlen(g->url) <= LIMIT_UPLOAD_URL_BYTES);
	json_add_int(obj, "stream", g->stream);
	json_add_int(obj, "seq", g->seq);
	sync_add_text(obj, "url", g->url, LIMIT_UPLOAD_URL_BYTES);
	json_add_int(obj, "expires_us", g->expires_us);
	return obj;
}

static cJSON *part_to_json(const struct sync_down_part *p, struct sync_scopes *scopes)
{
	cJSON *obj = cJSON_CreateObject();
	json_add_str(obj, "account", p->account.hex);
	json_add_str(obj, "pcap", p->pcap.hex);
	json_add_str(obj, "desired", sync_desired_text(p->desired));
	if (p->desired == SYNC_FORGET)
		return obj;
	json_add_item(obj, "filter", filter_to_json(&p->filter));
	json_add_int(obj, "scope", sync_scopes_index(scopes, &p->scope));
	json_add_int(obj, "snaplen_bytes", p->snaplen_bytes);
	sync_add_u64(obj, "packet_limit", p->packet_limit);
	sync_add_u64(obj, "byte_limit", p->byte_limit);
	sync_add_u64(obj, "time_limit_us", p->time_limit_us);
	selection_to_json(&p->selection, json_add_object(obj, "selection"));
	json_add_int(obj, "chunk_bytes", p->chunk_bytes);
	json_add_int(obj, "chunk_age_ms", p->chunk_age_ms);
	cJSON *grants = json_add_array(obj, "grants");
	for (size_t i = 0; i < p->grant_count; i++)
		json_push(grants, grant_to_json(&p->grants[i]));
	return obj;
}

static bool down_within_limits(const struct sync_down *m)
{
	if (m->part_count > LIMIT_SYNC_PARTS)
		return false;
	for (size_t i = 0; i < m->part_count; i++) {
		if (m->parts[i].grant_count > GRANTS_MAX ||
		    m->parts[i].scope.count > LIMIT_PREFIXES_PER_ACCOUNT)
			return false;
	}
	return true;
}

int sync_down_encode(const struct sync_down *m, struct buf *out)
{
	if (!down_within_limits(m))
		return EC_ELIMIT;
	struct sync_scopes *scopes = sync_scopes_new(m->part_count);
	if (!scopes)
		return EC_ENOMEM;
	AUTO_JSON cJSON *obj = cJSON_CreateObject();
	json_add_int(obj, "version", SYNC_VERSION);
	sync_add_u64(obj, "seq", m->seq);
	json_add_int(obj, "clock_us", m->clock_us);
	json_add_bool(obj, "superseded", m->superseded);
	cJSON *parts = json_add_array(obj, "parts");
	for (size_t i = 0; i < m->part_count; i++)
		json_push(parts, part_to_json(&m->parts[i], scopes));
	json_add_item(obj, "scopes", sync_scopes_to_json(scopes));
	sync_scopes_free(scopes);
	return sync_close(obj, out);
}

static void filter_read(struct sync_reader *r, const cJSON *obj, struct filter *ret)
{
	struct field_errors errors = {0};
	const cJSON *json = sync_get_object(r, obj, "filter");
	if (r->rc == 0 && filter_from_json(json, "/filter", ret, &errors) < 0)
		sync_fail(r, EC_EFORMAT, "%s %s", errors.items[0].pointer, errors.items[0].message);
}

static void grant_read(struct sync_reader *r, const cJSON *obj, struct sync_grant *ret)
{
	ret->stream = sync_get_u32(r, obj, "stream", 0, LIMIT_STREAMS - 1);
	ret->seq = sync_get_u32(r, obj, "seq", 0, LIMIT_CHUNKS_PER_STREAM - 1);
	ret->url = sync_get_text(r, obj, "url", LIMIT_UPLOAD_URL_BYTES, false);
	ret->expires_us = sync_get_time(r, obj, "expires_us");
}

static void grants_read(struct sync_reader *r, const cJSON *obj, struct sync_down_part *ret)
{
	size_t count;
	const cJSON *item = sync_get_list(r, obj, "grants", GRANTS_MAX, &count);
	ret->grants = sync_new(r, count, sizeof(*ret->grants));
	ret->grant_count = count;
	for (size_t i = 0; i < count && r->rc == 0; i++, item = item->next) {
		grant_read(r, item, &ret->grants[i]);
		sync_at(r, "grants", i);
	}
}

/* What only a part that runs or stops has. */
static void orders_read(struct sync_reader *r, const cJSON *obj, struct sync_down_part *ret)
{
	filter_read(r, obj, &ret->filter);
	ret->snaplen_bytes = sync_get_u32(r, obj, "snaplen_bytes", 1, PCAPNG_SNAPLEN_MAX);
	ret->packet_limit = sync_get_u64(r, obj, "packet_limit", 0, JSON_INT_MAX);
	ret->byte_limit = sync_get_u64(r, obj, "byte_limit", 0, JSON_INT_MAX);
	ret->time_limit_us = sync_get_u64(r, obj, "time_limit_us", 0, JSON_INT_MAX);
	const cJSON *selection = sync_get_object(r, obj, "selection");
	if (r->rc == 0)
		r->rc = selection_from_json(selection, &ret->selection, r->err);
	ret->chunk_bytes = sync_get_u32(r, obj, "chunk_bytes", 1, LIMIT_CHUNK_BYTES);
	ret->chunk_age_ms = sync_get_u32(r, obj, "chunk_age_ms", 1, SYNC_CHUNK_AGE_MS_MAX);
	grants_read(r, obj, ret);
}

static void part_read(struct sync_reader *r, const cJSON *obj, const struct scope *scopes,
		      size_t scope_count, struct sync_down_part *ret)
{
	ret->account = sync_get_id(r, obj, "account");
	ret->pcap = sync_get_id(r, obj, "pcap");
	const char *desired = sync_get_word(r, obj, "desired", false);
	if (sync_desired_parse(desired, &ret->desired) < 0)
		sync_fail(r, EC_EFORMAT, "/desired \"%s\" is not known", desired);
	if (r->rc != 0 || ret->desired == SYNC_FORGET)
		return;
	orders_read(r, obj, ret);
	uint64_t scope = sync_get_u64(r, obj, "scope", 0, LIMIT_SYNC_PARTS);
	if (scope >= scope_count)
		sync_fail(r, EC_EFORMAT, "/scope %zu is not among the %zu of the message",
			  (size_t)scope, scope_count);
	if (r->rc == 0)
		ret->scope = scopes[scope];
}

static void parts_read(struct sync_reader *r, const cJSON *obj, struct sync_down *ret)
{
	size_t count, scope_count;
	const struct scope *scopes = sync_scopes_read(r, obj, &scope_count);
	const cJSON *item = sync_get_list(r, obj, "parts", LIMIT_SYNC_PARTS, &count);
	struct sync_part_key *keys = sync_new(r, count, sizeof(*keys));
	ret->parts = sync_new(r, count, sizeof(*ret->parts));
	ret->part_count = count;
	for (size_t i = 0; i < count && r->rc == 0; i++, item = item->next) {
		part_read(r, item, scopes, scope_count, &ret->parts[i]);
		keys[i] = (struct sync_part_key){ret->parts[i].account, ret->parts[i].pcap};
		sync_at(r, "parts", i);
	}
	sync_check_unique(r, keys, count);
}

int sync_down_decode(struct bytes text, struct arena *a, struct sync_down *ret, struct error *err)
{
	struct sync_reader r = {.arena = a, .err = err};
	struct sync_down m = {0};
	AUTO_JSON cJSON *obj = sync_open(&r, text);
	if (!obj)
		return r.rc;
	m.seq = sync_get_u64(&r, obj, "seq", 0, JSON_INT_MAX);
	m.clock_us = sync_get_time(&r, obj, "clock_us");
	m.superseded = sync_get_bool(&r, obj, "superseded");
	parts_read(&r, obj, &m);
	if (r.rc == 0)
		*ret = m;
	return r.rc;
}
