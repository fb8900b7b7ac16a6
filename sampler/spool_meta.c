#include "sampler/spool_meta.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

enum { META_VERSION = 1 };

/* The numbers of a part. X(member, lowest, highest) */
#define META_NUMBERS(X)                                                                            \
	X(started_us, 0, JSON_INT_MAX)                                                             \
	X(ended_us, 0, JSON_INT_MAX)                                                               \
	X(snaplen_bytes, 0, UINT32_MAX)                                                            \
	X(packet_limit, 0, JSON_INT_MAX)                                                           \
	X(byte_limit, 0, JSON_INT_MAX)                                                             \
	X(time_limit_us, 0, JSON_INT_MAX)

int spool_meta_encode(const struct spool_meta *m, struct buf *out)
{
	AUTO_JSON cJSON *root = cJSON_CreateObject();

	json_add_int(root, "version", META_VERSION);
	json_add_str(root, "account", m->account.hex);
	json_add_str(root, "pcap", m->pcap.hex);
	json_add_str(root, "kernel_boot", m->kernel_boot);
#define X(member, lowest, highest) json_add_int(root, #member, (int64_t)m->member);
	META_NUMBERS(X)
#undef X
	json_add_bool(root, "ended", m->ended);
	if (m->ended) {
		json_add_str(root, "reason", part_reason_text(m->reason));
		json_add_str(root, "error", m->error);
		ledger_to_json(&m->ledger, json_add_object(root, "ledger"));
		cJSON *closed = json_add_array(root, "closed");
		for (size_t i = 0; i < m->stream_count; i++)
			json_push(closed, cJSON_CreateNumber(m->closed[i]));
	}
	AUTO_FREE char *text = json_print(root);
	if (!text)
		return EC_ENOMEM;
	buf_puts(out, text);
	buf_puts(out, "\n");
	return out->failed;
}

static int id_get(const cJSON *root, const char *name, struct id *ret, struct error *err)
{
	const char *text = NULL;
	int r = json_get_str(root, name, ID_HEX_LEN, &text, err);

	if (r == 0 && id_parse(bytes_of(text), ret) < 0)
		r = error_set(err, EC_EFORMAT, "%s: must be 32 hex characters", name);
	return r == EC_ENOTFOUND ? EC_EFORMAT : r;
}

/* A text that may be empty. dst: cap bytes. */
static int text_get(const cJSON *root, const char *name, char *dst, size_t cap, struct error *err)
{
	const cJSON *item = json_get(root, name);

	if (!cJSON_IsString(item))
		return error_set(err, EC_EFORMAT, "%s: must be a text", name);
	if (bytes_to_str(bytes_of(item->valuestring), dst, cap) < 0)
		return error_set(err, EC_ELIMIT, "%s: longer than %zu bytes", name, cap - 1);
	return 0;
}

static int bool_get(const cJSON *root, const char *name, bool *ret, struct error *err)
{
	const cJSON *item = json_get(root, name);

	if (!cJSON_IsBool(item))
		return error_set(err, EC_EFORMAT, "%s: must be true or false", name);
	*ret = cJSON_IsTrue(item);
	return 0;
}

static int closed_get(const cJSON *root, struct spool_meta *m, struct error *err)
{
	const cJSON *array = json_get(root, "closed");
	const cJSON *item = NULL;

	if (!cJSON_IsArray(array))
		return error_set(err, EC_EFORMAT, "closed: must be a list");
	cJSON_ArrayForEach(item, array)
	{
		int64_t v = 0;
		if (m->stream_count == LIMIT_STREAMS)
			return error_set(err, EC_ELIMIT, "closed: more than %d streams",
					 LIMIT_STREAMS);
		if (json_int(item, 0, LIMIT_CHUNKS_PER_STREAM, &v) < 0)
			return error_set(err, EC_EFORMAT, "closed: must be counts up to %d",
					 LIMIT_CHUNKS_PER_STREAM);
		m->closed[m->stream_count++] = (uint32_t)v;
	}
	return 0;
}

/* What is there only when the part has ended. */
static int ending_get(const cJSON *root, struct spool_meta *m, struct error *err)
{
	char reason[32];
	int r = text_get(root, "reason", reason, sizeof(reason), err);

	if (r == 0 && part_reason_parse(reason, &m->reason) < 0)
		r = error_set(err, EC_EFORMAT, "reason: unknown");
	const cJSON *error = json_get(root, "error");
	if (r == 0 && !cJSON_IsString(error))
		r = error_set(err, EC_EFORMAT, "error: must be a text");
	if (r == 0) /* cut: repaired UTF-8 can be longer than what was written */
		(void)snprintf(m->error, sizeof(m->error), "%s", error->valuestring);
	if (r == 0)
		r = ledger_from_json(json_get(root, "ledger"), &m->ledger, err);
	return r < 0 ? r : closed_get(root, m, err);
}

static int numbers_get(const cJSON *root, struct spool_meta *m, struct error *err)
{
	int64_t v = 0;
	int r = 0;

#define X(member, lowest, highest)                                                                 \
	r = json_get_int(root, #member, lowest, highest, &v, err);                                 \
	if (r < 0)                                                                                 \
		return r == EC_ENOTFOUND ? EC_EFORMAT : r;                                         \
	m->member = (__typeof__(m->member))v;
	META_NUMBERS(X)
#undef X
	return 0;
}

int spool_meta_decode(struct bytes text, struct spool_meta *ret, struct error *err)
{
	AUTO_JSON cJSON *root = NULL;
	struct spool_meta m = {0};
	int64_t version = 0;
	int r = json_parse(text, &root, err);

	if (r < 0)
		return r;
	r = json_get_int(root, "version", META_VERSION, META_VERSION, &version, err);
	if (r < 0)
		return EC_EFORMAT;
	r = id_get(root, "account", &m.account, err);
	if (r == 0)
		r = id_get(root, "pcap", &m.pcap, err);
	if (r == 0)
		r = text_get(root, "kernel_boot", m.kernel_boot, sizeof(m.kernel_boot), err);
	if (r == 0)
		r = numbers_get(root, &m, err);
	if (r == 0)
		r = bool_get(root, "ended", &m.ended, err);
	if (r == 0 && m.ended)
		r = ending_get(root, &m, err);
	if (r == 0)
		*ret = m;
	return r;
}
