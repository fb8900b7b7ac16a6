#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "packet/pcapng.h"
#include "packet/pcapng_format.h"

__extension__ typedef unsigned __int128 u128;

enum { NS_DECIMALS = 9, TSRESOL_DEFAULT = 6, TSRESOL_BINARY = 0x80 };

#define NS_PER_S 1000000000

/* What later blocks need of an interface. */
struct reader_interface {
	int64_t ts_offset_s;
	uint16_t link_type;
	uint8_t ts_resolution; /* if_tsresol */
};

struct pcapng_reader {
	bool in_section;
	bool big; /* byte order of the section */
	uint32_t interface_count;
	uint32_t interface_max;
	struct reader_interface interfaces[];
};

/* A block's body and its byte order. */
struct body {
	struct cursor c;
	bool big;
};

struct option {
	uint16_t code;
	struct bytes value;
};

struct pcapng_reader *pcapng_reader_new(uint32_t max_interfaces)
{
	EC_ASSERT(max_interfaces >= 1 && max_interfaces <= PCAPNG_INTERFACES_MAX);
	struct pcapng_reader *r = calloc(1, sizeof(*r) + max_interfaces * sizeof(r->interfaces[0]));
	if (r)
		r->interface_max = max_interfaces;
	return r;
}

void pcapng_reader_free(struct pcapng_reader *r)
{
	free(r);
}

static uint16_t body_u16(struct body *b)
{
	return b->big ? cursor_u16be(&b->c) : cursor_u16le(&b->c);
}

static uint32_t body_u32(struct body *b)
{
	return b->big ? cursor_u32be(&b->c) : cursor_u32le(&b->c);
}

static uint64_t body_u64(struct body *b)
{
	uint64_t first = body_u32(b), second = body_u32(b);
	return b->big ? first << 32 | second : second << 32 | first;
}

/* A time stamp: the high half first in either byte order. */
static uint64_t body_time(struct body *b)
{
	uint64_t high = body_u32(b), low = body_u32(b);
	return high << 32 | low;
}

/* The next option. Returns 1, 0 at the end, or EC_EFORMAT. */
static int option_next(struct body *b, struct option *ret, struct error *err)
{
	if (b->c.n == 0)
		return 0; /* opt_endofopt may be left out */
	ret->code = body_u16(b);
	uint16_t n = body_u16(b);
	if (cursor_ok(&b->c) && ret->code == PCAPNG_OPT_END && n == 0)
		return 0;
	ret->value = cursor_take(&b->c, n);
	cursor_skip(&b->c, (0u - n) & 3u);
	if (!cursor_ok(&b->c) || ret->code == PCAPNG_OPT_END)
		return error_set(err, EC_EFORMAT, "option %u of %u bytes does not fit in its block",
				 ret->code, n);
	return 1;
}

/* An option's value as a body of exactly n bytes. */
static int option_body(const struct option *o, size_t n, bool big, struct body *ret,
		       struct error *err)
{
	if (o->value.n != n)
		return error_set(err, EC_EFORMAT, "option %u has %zu bytes, not %zu", o->code,
				 o->value.n, n);
	*ret = (struct body){cursor_over(o->value), big};
	return 0;
}

static void first_text(struct bytes *text, struct bytes value)
{
	if (text->n == 0)
		*text = value;
}

/* Units of 10^-resolution seconds to nanoseconds. Returns false on overflow. */
static bool decimal_to_ns(uint64_t units, unsigned resolution, uint64_t *ret_ns)
{
	uint64_t ns = units;
	for (unsigned i = resolution; i < NS_DECIMALS; i++) {
		if (__builtin_mul_overflow(ns, (uint64_t)10, &ns))
			return false;
	}
	for (unsigned i = NS_DECIMALS; i < resolution && ns > 0; i++)
		ns /= 10;
	*ret_ns = ns;
	return true;
}

/* Units of 2^-resolution seconds to nanoseconds. Returns false on overflow. */
static bool binary_to_ns(uint64_t units, unsigned resolution, uint64_t *ret_ns)
{
	u128 ns = (u128)units * NS_PER_S >> resolution; /* at most 2^94; resolution <= 127 */
	*ret_ns = (uint64_t)ns;
	return ns <= UINT64_MAX;
}

static int time_to_ns(const struct reader_interface *i, uint64_t units, int64_t *ret,
		      struct error *err)
{
	unsigned resolution = i->ts_resolution & 0x7fu;
	uint64_t ns;
	int64_t offset_ns;
	bool ok = i->ts_resolution & TSRESOL_BINARY ? binary_to_ns(units, resolution, &ns)
						    : decimal_to_ns(units, resolution, &ns);
	if (!ok || ns > INT64_MAX ||
	    __builtin_mul_overflow(i->ts_offset_s, (int64_t)NS_PER_S, &offset_ns) ||
	    __builtin_add_overflow((int64_t)ns, offset_ns, ret))
		return error_set(err, EC_EFORMAT,
				 "time stamp %" PRIu64 " (if_tsresol %u, if_tsoffset %" PRId64
				 ") is outside of years 1677..2262",
				 units, (unsigned)i->ts_resolution, i->ts_offset_s);
	return 0;
}

/* The described interface, or NULL with a reason in err. */
static const struct reader_interface *interface_of(const struct pcapng_reader *r, uint32_t index,
						   struct error *err)
{
	if (index < r->interface_count)
		return &r->interfaces[index];
	(void)error_set(err, EC_EFORMAT,
			"interface %" PRIu32 " is not described: the section has %" PRIu32, index,
			r->interface_count);
	return NULL;
}

/* Options of a block of which only the comment matters. */
static int comment_read(struct body *b, struct bytes *ret_comment, struct error *err)
{
	struct option o;
	int rc;
	while ((rc = option_next(b, &o, err)) > 0) {
		if (o.code == PCAPNG_OPT_COMMENT)
			first_text(ret_comment, o.value);
	}
	return rc;
}

static int section_read(struct pcapng_reader *r, struct body *b, struct pcapng_block *ret,
			struct error *err)
{
	cursor_skip(&b->c, 4); /* byte-order magic */
	uint16_t major = body_u16(b), minor = body_u16(b);
	uint64_t length = body_u64(b); /* not needed: blocks are walked */
	if (!cursor_ok(&b->c))
		return error_set(err, EC_EFORMAT, "section header is too short");
	if (major != 1 || (minor != 0 && minor != 2))
		return error_set(err, EC_EFORMAT, "pcapng version %u.%u is not known", major,
				 minor);
	if (length != UINT64_MAX && (length > INT64_MAX || length % 4 != 0))
		return error_set(err, EC_EFORMAT, "section length %" PRIu64 " is not possible",
				 length);
	int rc = comment_read(b, &ret->comment, err);
	if (rc < 0)
		return rc;
	ret->kind = PCAPNG_SECTION;
	r->in_section = true;
	r->big = b->big;
	r->interface_count = 0;
	return 0;
}

static int interface_option(const struct option *o, bool big, struct reader_interface *i,
			    struct pcapng_block *ret, struct error *err)
{
	struct body value = {0};
	int rc = 0;
	switch (o->code) {
	case PCAPNG_OPT_COMMENT:
		first_text(&ret->comment, o->value);
		break;
	case PCAPNG_IF_NAME:
		first_text(&ret->name, o->value);
		break;
	case PCAPNG_IF_DESCRIPTION:
		first_text(&ret->description, o->value);
		break;
	case PCAPNG_IF_TSRESOL:
		rc = option_body(o, 1, big, &value, err);
		if (rc == 0)
			i->ts_resolution = cursor_u8(&value.c);
		break;
	case PCAPNG_IF_TSOFFSET:
		rc = option_body(o, 8, big, &value, err);
		if (rc == 0)
			i->ts_offset_s = (int64_t)body_u64(&value);
		break;
	default: /* the others say nothing that we need */
		break;
	}
	return rc;
}

static int interface_read(struct pcapng_reader *r, struct body *b, struct pcapng_block *ret,
			  struct error *err)
{
	struct reader_interface i = {.ts_resolution = TSRESOL_DEFAULT};
	struct option o;
	int rc;
	i.link_type = body_u16(b);
	(void)body_u16(b); /* reserved */
	ret->snaplen_bytes = body_u32(b);
	if (!cursor_ok(&b->c))
		return error_set(err, EC_EFORMAT, "interface description is too short");
	if (r->interface_count == r->interface_max)
		return error_set(err, EC_ELIMIT, "more than %" PRIu32 " interfaces",
				 r->interface_max);
	while ((rc = option_next(b, &o, err)) > 0) {
		rc = interface_option(&o, b->big, &i, ret, err);
		if (rc < 0)
			break;
	}
	if (rc < 0)
		return rc;
	ret->kind = PCAPNG_INTERFACE;
	ret->link_type = i.link_type;
	ret->interface = r->interface_count;
	r->interfaces[r->interface_count++] = i;
	return 0;
}

/* *ret is written in place and once: to copy what was just written in small pieces stalls the processor. */
static int packet_read(const struct pcapng_reader *r, struct body *b, struct pcapng_block *ret,
		       struct error *err)
{
	uint32_t index = body_u32(b);
	uint64_t units = body_time(b);
	uint32_t captured = body_u32(b);
	uint32_t wire_bytes = body_u32(b);
	struct bytes data = cursor_take(&b->c, captured), comment = {0};
	int64_t ts_ns;
	cursor_skip(&b->c, (0u - captured) & 3u);
	if (!cursor_ok(&b->c))
		return error_set(err, EC_EFORMAT, "packet of %" PRIu32 " bytes passes its block",
				 captured);
	if (captured > PCAPNG_SNAPLEN_MAX || captured > wire_bytes)
		return error_set(err, EC_EFORMAT,
				 "captured length %" PRIu32 " exceeds the original %" PRIu32
				 " or the limit %d",
				 captured, wire_bytes, PCAPNG_SNAPLEN_MAX);
	const struct reader_interface *i = interface_of(r, index, err);
	if (!i)
		return EC_EFORMAT;
	int rc = time_to_ns(i, units, &ts_ns, err);
	if (rc == 0 && b->c.n > 0)
		rc = comment_read(b, &comment, err);
	if (rc < 0)
		return rc;
	*ret = (struct pcapng_block){
		.kind = PCAPNG_PACKET,
		.packet = {.interface = index,
			   .ts_ns = ts_ns,
			   .wire_bytes = wire_bytes,
			   .data = data},
		.interface = index,
		.link_type = i->link_type,
		.comment = comment,
	};
	return 0;
}

/* Where a counter option goes, NULL for other options. */
static uint64_t *counter_of(uint16_t code, struct pcapng_statistics *s)
{
	switch (code) {
	case PCAPNG_ISB_IFRECV:
		return &s->received;
	case PCAPNG_ISB_IFDROP:
		return &s->if_dropped;
	case PCAPNG_ISB_FILTERACCEPT:
		return &s->accepted;
	case PCAPNG_ISB_OSDROP:
		return &s->os_dropped;
	case PCAPNG_ISB_USRDELIV:
		return &s->delivered;
	default: /* code comes from the file */
		return NULL;
	}
}

static int statistics_option(const struct option *o, bool big, const struct reader_interface *i,
			     struct pcapng_block *ret, struct error *err)
{
	struct pcapng_statistics *s = &ret->statistics;
	uint64_t *counter = counter_of(o->code, s);
	bool start = o->code == PCAPNG_ISB_STARTTIME;
	struct body value = {0};
	if (o->code == PCAPNG_OPT_COMMENT)
		first_text(&ret->comment, o->value);
	if (!counter && !start && o->code != PCAPNG_ISB_ENDTIME)
		return 0;
	int rc = option_body(o, 8, big, &value, err);
	if (rc < 0)
		return rc;
	if (counter) {
		*counter = body_u64(&value);
		return 0;
	}
	return time_to_ns(i, body_time(&value), start ? &s->start_ns : &s->end_ns, err);
}

static int statistics_read(const struct pcapng_reader *r, struct body *b, struct pcapng_block *ret,
			   struct error *err)
{
	struct option o;
	uint32_t index = body_u32(b);
	uint64_t units = body_time(b);
	if (!cursor_ok(&b->c))
		return error_set(err, EC_EFORMAT, "interface statistics are too short");
	const struct reader_interface *i = interface_of(r, index, err);
	if (!i)
		return EC_EFORMAT;
	int rc = time_to_ns(i, units, &ret->statistics.ts_ns, err);
	if (rc < 0)
		return rc;
	while ((rc = option_next(b, &o, err)) > 0) {
		rc = statistics_option(&o, b->big, i, ret, err);
		if (rc < 0)
			break;
	}
	if (rc < 0)
		return rc;
	ret->kind = PCAPNG_STATISTICS;
	ret->interface = ret->statistics.interface = index;
	return 0;
}

/* A block that is no packet. Returns 0 with *ret, or a code with *ret as it was. */
static int other_read(struct pcapng_reader *r, uint32_t type, struct body *b,
		      struct pcapng_block *ret, struct error *err)
{
	struct pcapng_block block = {.kind = PCAPNG_OTHER};
	int rc = 0;
	switch (type) {
	case PCAPNG_TYPE_SECTION:
		rc = section_read(r, b, &block, err);
		break;
	case PCAPNG_TYPE_INTERFACE:
		rc = interface_read(r, b, &block, err);
		break;
	case PCAPNG_TYPE_STATISTICS:
		rc = statistics_read(r, b, &block, err);
		break;
	default: /* type comes from the file; readers skip what they do not know */
		break;
	}
	if (rc == 0)
		*ret = block;
	return rc;
}

static uint32_t load_u32(const uint8_t *p, bool big)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return big ? be32toh(v) : le32toh(v);
}

/* Byte order of the block that starts the window (PCAPNG_BLOCK_OVERHEAD_BYTES or more): its own for a section header, else the section's. */
static int byte_order(const struct pcapng_reader *r, struct bytes window, bool *ret_big,
		      struct error *err)
{
	if (load_u32(window.p, false) != PCAPNG_TYPE_SECTION) {
		*ret_big = r->big;
		return r->in_section ? 0
				     : error_set(err, EC_EFORMAT,
						 "does not begin with a pcapng section header");
	}
	uint32_t magic = load_u32(window.p + 8, false);
	if (magic != PCAPNG_BYTE_ORDER_MAGIC && magic != __builtin_bswap32(PCAPNG_BYTE_ORDER_MAGIC))
		return error_set(err, EC_EFORMAT, "byte-order magic %08" PRIx32 " is not known",
				 magic);
	*ret_big = magic != PCAPNG_BYTE_ORDER_MAGIC;
	return 0;
}

int pcapng_read(struct pcapng_reader *r, struct bytes window, struct pcapng_block *ret,
		size_t *ret_used, struct error *err)
{
	bool big = false;
	if (window.n < PCAPNG_BLOCK_OVERHEAD_BYTES)
		return EC_EEND;
	int rc = byte_order(r, window, &big, err);
	if (rc < 0)
		return rc;
	uint32_t type = load_u32(window.p, big), total = load_u32(window.p + 4, big);
	if (total < PCAPNG_BLOCK_OVERHEAD_BYTES || total % 4 != 0 || total > PCAPNG_BLOCK_MAX)
		return error_set(err, EC_EFORMAT,
				 "block of type %" PRIu32 " has length %" PRIu32
				 ", not a multiple of 4 in 12..%d",
				 type, total, PCAPNG_BLOCK_MAX);
	if (window.n < total)
		return EC_EEND;
	uint32_t tail = load_u32(window.p + total - 4, big);
	if (tail != total)
		return error_set(err, EC_EFORMAT,
				 "block of type %" PRIu32 " has length %" PRIu32
				 " in front and %" PRIu32 " behind",
				 type, total, tail);
	struct body content = {
		cursor_over((struct bytes){window.p + 8, total - PCAPNG_BLOCK_OVERHEAD_BYTES}),
		big};
	rc = type == PCAPNG_TYPE_ENHANCED_PACKET ? packet_read(r, &content, ret, err)
						 : other_read(r, type, &content, ret, err);
	if (rc == 0)
		*ret_used = total;
	return rc;
}
