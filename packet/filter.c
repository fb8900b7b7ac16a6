#include "packet/filter.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"

enum { SEEN_BYTES = 96, SEEN_TEXT_MAX = 60, SEEN_NAME_MAX = 36 };

static const char *const ports_text =
	"only 6 (TCP), 17 (UDP), 33 (DCCP), 132 (SCTP) and 136 (UDP-Lite) have ports";

/* What we are reading: where faults go and the pointer in front of the names. */
struct filter_reader {
	const char *pointer;
	struct field_errors *errors;
	struct filter *out;
};

/* Copy text, cut between UTF-8 characters, with control characters as '?'. dst: max + 4. */
static void text_cut(const char *text, size_t max, char *dst)
{
	size_t n = strlen(text);
	bool cut = n > max;
	if (cut) {
		n = max;
		while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
			n--;
	}
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];
		dst[i] = c < 0x20 || c == 0x7f ? '?' : text[i];
	}
	memcpy(dst + n, cut ? "..." : "", cut ? 4 : 1);
}

/* Show a value in a message. dst: SEEN_BYTES. */
static void value_describe(const cJSON *v, char *dst)
{
	char text[SEEN_TEXT_MAX + 4];
	if (cJSON_IsString(v)) {
		text_cut(v->valuestring, SEEN_TEXT_MAX, text);
		(void)snprintf(dst, SEEN_BYTES, "the string \"%s\"", text);
	} else if (cJSON_IsNumber(v)) {
		(void)snprintf(dst, SEEN_BYTES, "%.15g", v->valuedouble);
	} else if (cJSON_IsNull(v)) {
		(void)snprintf(dst, SEEN_BYTES, "null");
	} else if (cJSON_IsBool(v)) {
		(void)snprintf(dst, SEEN_BYTES, "%s", cJSON_IsTrue(v) ? "true" : "false");
	} else {
		(void)snprintf(dst, SEEN_BYTES, "%s", cJSON_IsArray(v) ? "an array" : "an object");
	}
}

/* JSON pointer of a member (RFC 6901 section 3: '~' is ~0, '/' is ~1), cut to fit. dst: FIELD_POINTER_BYTES. */
static void member_pointer(const struct filter_reader *r, const char *name, char *dst)
{
	char cut[SEEN_NAME_MAX + 4], escaped[2 * sizeof(cut)];
	size_t n = 0;
	text_cut(name, SEEN_NAME_MAX, cut);
	for (const char *p = cut; *p; p++) {
		if (*p == '~' || *p == '/') {
			escaped[n++] = '~';
			escaped[n++] = *p == '~' ? '0' : '1';
		} else {
			escaped[n++] = *p;
		}
	}
	escaped[n] = '\0';
	(void)snprintf(dst, FIELD_POINTER_BYTES, "%s/%s", r->pointer, escaped);
}

static void address_from_json(struct filter_reader *r, const cJSON *item, struct prefix *ret)
{
	char pointer[FIELD_POINTER_BYTES], seen[SEEN_BYTES];
	struct error err = {0};
	member_pointer(r, item->string, pointer);
	value_describe(item, seen);
	if (!cJSON_IsString(item)) {
		field_errors_add(r->errors, pointer,
				 "must be an IPv4 or IPv6 address or prefix as a string, got %s",
				 seen);
		return;
	}
	if (prefix_parse(bytes_of(item->valuestring), ret, &err) < 0)
		field_errors_add(r->errors, pointer, "%s; got %s", err.text, seen);
}

static void number_from_json(struct filter_reader *r, const cJSON *item, uint16_t max,
			     uint16_t *ret)
{
	char pointer[FIELD_POINTER_BYTES], seen[SEEN_BYTES];
	int64_t v;
	if (json_int(item, 0, max, &v) == 0) {
		*ret = (uint16_t)v;
		return;
	}
	member_pointer(r, item->string, pointer);
	value_describe(item, seen);
	field_errors_add(r->errors, pointer, "must be an integer 0..%u, got %s", (unsigned)max,
			 seen);
}

static void protocol_from_json(struct filter_reader *r, const cJSON *item, uint8_t *ret)
{
	uint16_t v = 0;
	number_from_json(r, item, 255, &v);
	*ret = (uint8_t)v;
}

static int field_of_name(const char *name, enum filter_field *ret)
{
#define X(bit, value, json)                                                                        \
	if (strcmp(name, json) == 0) {                                                             \
		*ret = bit;                                                                        \
		return 0;                                                                          \
	}
	FILTER_FIELDS(X)
#undef X
	return EC_ENOTFOUND;
}

static void member_from_json(struct filter_reader *r, const cJSON *item)
{
	char pointer[FIELD_POINTER_BYTES];
	enum filter_field field;
	if (field_of_name(item->string, &field) < 0) {
		member_pointer(r, item->string, pointer);
		field_errors_add(r->errors, pointer,
				 "is not a field of the filter: it has source_address, "
				 "destination_address, source_port, destination_port and protocol");
		return;
	}
	if (r->out->fields & field) {
		member_pointer(r, item->string, pointer);
		field_errors_add(r->errors, pointer, "is given twice");
		return;
	}
	r->out->fields |= field;
	switch (field) {
	case FILTER_SOURCE_ADDRESS:
		address_from_json(r, item, &r->out->source);
		break;
	case FILTER_DESTINATION_ADDRESS:
		address_from_json(r, item, &r->out->destination);
		break;
	case FILTER_SOURCE_PORT:
		number_from_json(r, item, 65535, &r->out->source_port);
		break;
	case FILTER_DESTINATION_PORT:
		number_from_json(r, item, 65535, &r->out->destination_port);
		break;
	case FILTER_PROTOCOL:
		protocol_from_json(r, item, &r->out->protocol);
		break;
	}
}

static void ports_check(struct filter_reader *r, enum filter_field field, const char *name)
{
	char pointer[FIELD_POINTER_BYTES];
	if (!(r->out->fields & field))
		return;
	member_pointer(r, name, pointer);
	field_errors_add(r->errors, pointer,
			 "can match nothing together with protocol %u, which has no ports: %s",
			 (unsigned)r->out->protocol, ports_text);
}

/* Faults between fields, of a filter whose fields are each right. */
static void fields_check(struct filter_reader *r)
{
	const struct filter *f = r->out;
	unsigned both = FILTER_SOURCE_ADDRESS | FILTER_DESTINATION_ADDRESS;
	if ((f->fields & both) == both && f->source.addr.family != f->destination.addr.family) {
		char pointer[FIELD_POINTER_BYTES];
		member_pointer(r, "destination_address", pointer);
		field_errors_add(r->errors, pointer,
				 "is IPv%u while source_address is IPv%u: no packet has addresses "
				 "of two families",
				 (unsigned)f->destination.addr.family,
				 (unsigned)f->source.addr.family);
	}
	if ((f->fields & FILTER_PROTOCOL) && !protocol_has_ports(f->protocol)) {
		ports_check(r, FILTER_SOURCE_PORT, "source_port");
		ports_check(r, FILTER_DESTINATION_PORT, "destination_port");
	}
}

int filter_from_json(const cJSON *json, const char *pointer, struct filter *ret,
		     struct field_errors *errors)
{
	struct filter f = {0};
	struct filter_reader r = {.pointer = pointer, .errors = errors, .out = &f};
	size_t before = errors->count;
	if (json && !cJSON_IsNull(json) && !cJSON_IsObject(json)) {
		char seen[SEEN_BYTES];
		value_describe(json, seen);
		field_errors_add(errors, pointer, "must be an object, got %s", seen);
		return EC_EINVAL;
	}
	for (const cJSON *item = json ? json->child : NULL; item; item = item->next)
		member_from_json(&r, item);
	if (errors->count == before)
		fields_check(&r);
	if (errors->count != before)
		return EC_EINVAL;
	*ret = f;
	return 0;
}

cJSON *filter_to_json(const struct filter *f)
{
	cJSON *obj = cJSON_CreateObject();
	bool ok = obj != NULL;
	char text[PREFIX_TEXT_BYTES];
	if (f->fields & FILTER_SOURCE_ADDRESS) {
		prefix_format(&f->source, text);
		ok = ok && cJSON_AddStringToObject(obj, "source_address", text);
	}
	if (f->fields & FILTER_DESTINATION_ADDRESS) {
		prefix_format(&f->destination, text);
		ok = ok && cJSON_AddStringToObject(obj, "destination_address", text);
	}
	if (f->fields & FILTER_SOURCE_PORT)
		ok = ok && cJSON_AddNumberToObject(obj, "source_port", f->source_port);
	if (f->fields & FILTER_DESTINATION_PORT)
		ok = ok && cJSON_AddNumberToObject(obj, "destination_port", f->destination_port);
	if (f->fields & FILTER_PROTOCOL)
		ok = ok && cJSON_AddNumberToObject(obj, "protocol", f->protocol);
	if (ok)
		return obj;
	cJSON_Delete(obj);
	return NULL;
}

bool filter_match(const struct filter *f, const struct flow *flow)
{
	if ((f->fields & FILTER_PROTOCOL) && f->protocol != flow->protocol)
		return false;
	if ((f->fields & (FILTER_SOURCE_PORT | FILTER_DESTINATION_PORT)) && !flow->has_ports)
		return false;
	if ((f->fields & FILTER_SOURCE_PORT) && f->source_port != flow->source_port)
		return false;
	if ((f->fields & FILTER_DESTINATION_PORT) && f->destination_port != flow->destination_port)
		return false;
	if ((f->fields & FILTER_SOURCE_ADDRESS) && !prefix_has(&f->source, &flow->source))
		return false;
	return !(f->fields & FILTER_DESTINATION_ADDRESS) ||
	       prefix_has(&f->destination, &flow->destination);
}

bool filter_in_scope(const struct scope *s, const struct flow *flow)
{
	return scope_has(s, &flow->source) || scope_has(s, &flow->destination);
}

bool filter_within_reach(const struct filter *f, const struct scope *s)
{
	bool by_source = f->fields & FILTER_SOURCE_ADDRESS;
	bool by_destination = f->fields & FILTER_DESTINATION_ADDRESS;
	if (s->unrestricted)
		return true;
	if (by_source && by_destination)
		return scope_overlaps(s, &f->source) || scope_overlaps(s, &f->destination);
	if (by_source)
		return scope_has_family(s, f->source.addr.family);
	if (by_destination)
		return scope_has_family(s, f->destination.addr.family);
	return s->count > 0;
}
