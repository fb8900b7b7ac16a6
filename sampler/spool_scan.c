#include "sampler/spool_scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "packet/pcapng.h"
#include "sampler/spool_io.h"

/* The part at hand. */
struct scan {
	int dir;
	const struct spool_scan_events *events;
	struct spool_found_chunk *chunks;
	size_t count, cap;
};

int spool_chunk_check(struct bytes data, uint32_t *ret_packets, struct error *err)
{
	struct pcapng_reader *reader = pcapng_reader_new(LIMIT_STREAMS);
	uint32_t packets = 0;
	bool any = false;
	int r = 0;

	if (!reader)
		return error_set(err, EC_ENOMEM, "out of memory");
	while (r == 0 && data.n > 0) {
		struct pcapng_block block;
		size_t used = 0;
		r = pcapng_read(reader, data, &block, &used, err);
		if (r == EC_EEND)
			r = error_set(err, EC_EFORMAT, "cut off %zu bytes before its end", data.n);
		if (r < 0)
			break;
		any = true;
		packets += block.kind == PCAPNG_PACKET;
		data.p += used;
		data.n -= used;
	}
	pcapng_reader_free(reader);
	if (r == 0 && !any)
		r = error_set(err, EC_EFORMAT, "empty");
	if (r == 0)
		*ret_packets = packets;
	return r;
}

static void note(const struct scan *s, const struct id *pcap, const char *name, const char *reason)
{
	char path[ID_HEX_LEN + 1 + NAME_MAX + 1];

	(void)snprintf(path, sizeof(path), "%s/%s", pcap->hex, name);
	s->events->note(s->events->arg, path, reason);
}

static int chunk_add(struct scan *s, const struct spool_found_chunk *chunk)
{
	if (s->count == s->cap) {
		size_t cap = s->cap > 0 ? s->cap * 2 : 64;
		struct spool_found_chunk *more = reallocarray(s->chunks, cap, sizeof(*more));
		if (!more)
			return EC_ENOMEM;
		s->chunks = more;
		s->cap = cap;
	}
	s->chunks[s->count++] = *chunk;
	return 0;
}

/* One entry of a part's directory: a chunk, or something to be removed. */
static int entry_take(struct scan *s, const struct id *pcap, int fd, const char *name)
{
	struct spool_found_chunk chunk = {0};
	struct error err = {0};
	struct stat st;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, "part.json") == 0)
		return 0;
	if (spool_io_chunk_parse(name, &chunk.stream, &chunk.seq) == 0 &&
	    chunk.stream < LIMIT_STREAMS && chunk.seq < LIMIT_CHUNKS_PER_STREAM &&
	    fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	    st.st_size > 0 && st.st_size <= LIMIT_CHUNK_BYTES) {
		chunk.bytes = (uint64_t)st.st_size;
		return chunk_add(s, &chunk);
	}
	note(s, pcap, name,
	     spool_io_unlink(s->dir, pcap, name, &err) < 0 ? err.text : "no chunk: removed");
	return 0;
}

static int chunks_find(struct scan *s, const struct id *pcap, struct error *err)
{
	int fd = openat(s->dir, pcap->hex, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *entries = fd < 0 ? NULL : fdopendir(fd);
	int r = 0;

	if (!entries) {
		r = error_set_errno(err, EC_EIO, errno, "cannot open %s in the spool", pcap->hex);
		if (fd >= 0)
			(void)close(fd);
		return r;
	}
	s->count = 0;
	for (struct dirent *e = readdir(entries); e && r == 0; e = readdir(entries))
		r = entry_take(s, pcap, fd, e->d_name);
	(void)closedir(entries);
	return r < 0 ? error_set(err, r, "out of memory") : 0;
}

static int chunk_compare(const void *a, const void *b)
{
	const struct spool_found_chunk *x = a, *y = b;

	if (x->stream != y->stream)
		return x->stream < y->stream ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static int meta_find(const struct scan *s, const struct id *pcap, struct spool_meta *ret,
		     struct error *err)
{
	struct buf text;

	buf_init(&text, SPOOL_META_BYTES);
	int r = spool_io_read(s->dir, pcap, "part.json", &text, err);
	if (r == 0)
		r = spool_meta_decode(buf_bytes(&text), ret, err);
	if (r == 0 && !id_equal(&ret->pcap, pcap))
		r = error_set(err, EC_EFORMAT, "pcap: is another's, %s", ret->pcap.hex);
	buf_fini(&text);
	return r;
}

static int part_find(struct scan *s, const struct id *pcap, struct error *err)
{
	struct spool_found found = {0};
	struct error why = {0};
	struct error failed = {0};
	int r = meta_find(s, pcap, &found.meta, &why);

	if (r == EC_ENOMEM)
		return error_set(err, r, "out of memory");
	if (r < 0) {
		note(s, pcap, "part.json", why.text);
		r = spool_io_part_remove(s->dir, pcap, &failed);
		s->events->note(s->events->arg, pcap->hex,
				r < 0 ? failed.text : "nobody's packets: removed");
		return 0;
	}
	r = chunks_find(s, pcap, err);
	if (r < 0)
		return r;
	if (s->count > 0)
		qsort(s->chunks, s->count, sizeof(*s->chunks), chunk_compare);
	found.chunks = s->chunks;
	found.chunk_count = s->count;
	return s->events->found(s->events->arg, &found);
}

int spool_scan(int dir, const struct spool_scan_events *events, struct error *err)
{
	struct scan s = {.dir = dir, .events = events};
	struct id pcap;
	int r = 0;
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *entries = fd < 0 ? NULL : fdopendir(fd);

	if (!entries) {
		r = error_set_errno(err, EC_EIO, errno, "EDGECAP_SPOOL_DIR: cannot be read");
		if (fd >= 0)
			(void)close(fd);
		return r;
	}
	for (struct dirent *e = readdir(entries); e && r == 0; e = readdir(entries)) {
		if (id_parse(bytes_of(e->d_name), &pcap) == 0)
			r = part_find(&s, &pcap, err);
		else if (e->d_name[0] != '.')
			events->note(events->arg, e->d_name, "not the sampler's: left alone");
	}
	(void)closedir(entries);
	free(s.chunks);
	return r;
}
