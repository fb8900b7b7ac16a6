#include <string.h>

#include "base/json.h"
#include "packet/sync_json.h"
#include "packet/sync_message.h"

static cJSON *interface_to_json(const struct sync_interface *i)
{
	cJSON *obj = cJSON_CreateObject();
	sync_add_text(obj, "name", i->name, LIMIT_NAME_BYTES);
	json_add_int(obj, "link_type", i->link_type);
	json_add_int(obj, "streams", i->streams);
	sync_add_u64(obj, "received", i->received);
	sync_add_u64(obj, "dropped_kernel", i->dropped_kernel);
	sync_add_u64(obj, "dropped_interface", i->dropped_interface);
	return obj;
}

static cJSON *stream_to_json(const struct sync_stream *s)
{
	cJSON *obj = cJSON_CreateObject();
	json_add_int(obj, "stream", s->stream);
	json_add_int(obj, "closed", s->closed);
	json_add_int(obj, "stored", s->stored);
	return obj;
}

static cJSON *part_to_json(const struct sync_up_part *p)
{
	cJSON *obj = cJSON_CreateObject();
	json_add_str(obj, "account", p->account.hex);
	json_add_str(obj, "pcap", p->pcap.hex);
	json_add_str(obj, "state", sync_part_state_text(p->state));
	if (p->reason != PART_REASON_NONE)
		json_add_str(obj, "reason", part_reason_text(p->reason));
	if (p->error && p->error[0])
		sync_add_text(obj, "error", p->error, LIMIT_REASON_BYTES);
	json_add_int(obj, "started_us", p->started_us);
	json_add_int(obj, "ended_us", p->ended_us);
	ledger_to_json(&p->ledger, json_add_object(obj, "ledger"));
	cJSON *streams = json_add_array(obj, "streams");
	for (size_t i = 0; i < p->stream_count; i++)
		json_push(streams, stream_to_json(&p->streams[i]));
	return obj;
}

/* Rings of the whole host. */
static uint64_t streams_sum(const struct sync_up *m)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < m->interface_count; i++)
		sum += m->interfaces[i].streams;
	return sum;
}

static bool up_within_limits(const struct sync_up *m)
{
	if (m->interface_count > LIMIT_INTERFACES || m->part_count > LIMIT_SYNC_PARTS ||
	    streams_sum(m) > LIMIT_STREAMS)
		return false;
	for (size_t i = 0; i < m->part_count; i++) {
		if (m->parts[i].stream_count > LIMIT_STREAMS)
			return false;
	}
	return true;
}

int sync_up_encode(const struct sync_up *m, struct buf *out)
{
	if (!up_within_limits(m))
		return EC_ELIMIT;
	AUTO_JSON cJSON *obj = cJSON_CreateObject();
	json_add_int(obj, "version", SYNC_VERSION);
	json_add_str(obj, "boot", m->boot.hex);
	sync_add_u64(obj, "seq", m->seq);
	json_add_int(obj, "clock_us", m->clock_us);
	sync_add_text(obj, "software", m->software, LIMIT_NAME_BYTES);
	sync_add_text(obj, "host", m->host, LIMIT_NAME_BYTES);
	cJSON *interfaces = json_add_array(obj, "interfaces");
	for (size_t i = 0; i < m->interface_count; i++)
		json_push(interfaces, interface_to_json(&m->interfaces[i]));
	cJSON *parts = json_add_array(obj, "parts");
	for (size_t i = 0; i < m->part_count; i++)
		json_push(parts, part_to_json(&m->parts[i]));
	return sync_close(obj, out);
}

static void interface_read(struct sync_reader *r, const cJSON *obj, struct sync_interface *ret)
{
	ret->name = sync_get_text(r, obj, "name", LIMIT_NAME_BYTES, false);
	ret->link_type = sync_get_u32(r, obj, "link_type", 0, UINT32_MAX);
	ret->streams = sync_get_u32(r, obj, "streams", 1, LIMIT_STREAMS);
	ret->received = sync_get_u64(r, obj, "received", 0, JSON_INT_MAX);
	ret->dropped_kernel = sync_get_u64(r, obj, "dropped_kernel", 0, JSON_INT_MAX);
	ret->dropped_interface = sync_get_u64(r, obj, "dropped_interface", 0, JSON_INT_MAX);
}

static void interfaces_read(struct sync_reader *r, const cJSON *obj, struct sync_up *ret)
{
	size_t count;
	const cJSON *item = sync_get_list(r, obj, "interfaces", LIMIT_INTERFACES, &count);
	ret->interfaces = sync_new(r, count, sizeof(*ret->interfaces));
	ret->interface_count = count;
	for (size_t i = 0; i < count && r->rc == 0; i++, item = item->next) {
		interface_read(r, item, &ret->interfaces[i]);
		sync_at(r, "interfaces", i);
	}
	if (r->rc == 0 && streams_sum(ret) > LIMIT_STREAMS)
		sync_fail(r, EC_ELIMIT, "/interfaces have %llu streams, more than %d",
			  (unsigned long long)streams_sum(ret), (int)LIMIT_STREAMS);
}

static void stream_read(struct sync_reader *r, const cJSON *obj, struct sync_stream *ret)
{
	ret->stream = sync_get_u32(r, obj, "stream", 0, LIMIT_STREAMS - 1);
	ret->closed = sync_get_u32(r, obj, "closed", 0, LIMIT_CHUNKS_PER_STREAM);
	ret->stored = sync_get_u32(r, obj, "stored", 0, LIMIT_CHUNKS_PER_STREAM);
	if (ret->stored > ret->closed)
		sync_fail(r, EC_EFORMAT, "/stored %u is more than /closed %u", ret->stored,
			  ret->closed);
}

static void streams_read(struct sync_reader *r, const cJSON *obj, struct sync_up_part *ret)
{
	size_t count;
	const cJSON *item = sync_get_list(r, obj, "streams", LIMIT_STREAMS, &count);
	uint32_t seen = 0; /* a bit for each stream */
	_Static_assert(LIMIT_STREAMS <= 32, "a bit for each stream");
	ret->streams = sync_new(r, count, sizeof(*ret->streams));
	ret->stream_count = count;
	for (size_t i = 0; i < count && r->rc == 0; i++, item = item->next) {
		stream_read(r, item, &ret->streams[i]);
		uint32_t bit = 1u << ret->streams[i].stream;
		if (seen & bit)
			sync_fail(r, EC_EFORMAT, "/stream %u is there twice",
				  ret->streams[i].stream);
		seen |= bit;
		sync_at(r, "streams", i);
	}
}

static void part_read(struct sync_reader *r, const cJSON *obj, struct sync_up_part *ret)
{
	ret->account = sync_get_id(r, obj, "account");
	ret->pcap = sync_get_id(r, obj, "pcap");
	const char *state = sync_get_word(r, obj, "state", false);
	if (sync_part_state_parse(state, &ret->state) < 0)
		sync_fail(r, EC_EFORMAT, "/state \"%s\" is not known", state);
	const char *reason = sync_get_word(r, obj, "reason", true);
	if (part_reason_parse(reason, &ret->reason) < 0)
		sync_fail(r, EC_EFORMAT, "/reason \"%s\" is not known", reason);
	ret->error = sync_get_text(r, obj, "error", LIMIT_REASON_BYTES, true);
	ret->started_us = sync_get_time(r, obj, "started_us");
	ret->ended_us = sync_get_time(r, obj, "ended_us");
	const cJSON *ledger = sync_get_object(r, obj, "ledger");
	if (r->rc == 0)
		r->rc = ledger_from_json(ledger, &ret->ledger, r->err);
	streams_read(r, obj, ret);
}

static void parts_read(struct sync_reader *r, const cJSON *obj, struct sync_up *ret)
{
	size_t count;
	const cJSON *item = sync_get_list(r, obj, "parts", LIMIT_SYNC_PARTS, &count);
	struct sync_part_key *keys = sync_new(r, count, sizeof(*keys));
	ret->parts = sync_new(r, count, sizeof(*ret->parts));
	ret->part_count = count;
	for (size_t i = 0; i < count && r->rc == 0; i++, item = item->next) {
		part_read(r, item, &ret->parts[i]);
		keys[i] = (struct sync_part_key){ret->parts[i].account, ret->parts[i].pcap};
		sync_at(r, "parts", i);
	}
	sync_check_unique(r, keys, count);
}

int sync_up_decode(struct bytes text, struct arena *a, struct sync_up *ret, struct error *err)
{
	struct sync_reader r = {.arena = a, .err = err};
	struct sync_up m = {0};
	AUTO_JSON cJSON *obj = sync_open(&r, text);
	if (!obj)
		return r.rc;
	m.boot = sync_get_id(&r, obj, "boot");
	m.seq = sync_get_u64(&r, obj, "seq", 0, JSON_INT_MAX);
	m.clock_us = sync_get_time(&r, obj, "clock_us");
	m.software = sync_get_text(&r, obj, "software", LIMIT_NAME_BYTES, false);
	m.host = sync_get_text(&r, obj, "host", LIMIT_NAME_BYTES, false);
	interfaces_read(&r, obj, &m);
	parts_read(&r, obj, &m);
	if (r.rc == 0)
		*ret = m;
	return r.rc;
}
