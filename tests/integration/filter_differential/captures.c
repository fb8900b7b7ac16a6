#include "tests/integration/filter_differential/captures.h"

#include <fts.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "packet/flow.h"

int captures_dlt(uint32_t link_type)
{
	return link_type == LINK_RAW ? DLT_RAW : (int)link_type;
}

/* The link type of a file, 0 when it is none of ours. */
static uint32_t link_type_of(pcap_t *pcap)
{
	int dlt = pcap_datalink(pcap);
	uint32_t link_type = dlt == DLT_RAW ? LINK_RAW : (uint32_t)dlt;
	return link_type_known(link_type) ? link_type : 0;
}

static void *grown(void *p, size_t count, size_t *cap, size_t size)
{
	if (count < *cap)
		return p;
	*cap = *cap ? *cap * 2 : 256;
	p = reallocarray(p, *cap, size);
	if (!p) {
		perror("captures");
		exit(2);
	}
	return p;
}

void captures_add(struct captures *c, const struct captured *p)
{
	/* Exact size, so that the sanitizer sees a read past the end. */
	uint8_t *copy = malloc(p->data.n ? p->data.n : 1);
	c->packets = grown(c->packets, c->packet_count, &c->packet_cap, sizeof(*c->packets));
	if (!copy) {
		perror("captures");
		exit(2);
	}
	memcpy(copy, p->data.p, p->data.n);
	c->packets[c->packet_count] = *p;
	c->packets[c->packet_count++].data.p = copy;
}

static void file_load(struct captures *c, const char *path, const char *name)
{
	char reason[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_open_offline(path, reason);
	struct pcap_pkthdr *head;
	const u_char *data;
	if (!pcap) {
		c->unreadable_files++;
		return;
	}
	uint32_t link_type = link_type_of(pcap);
	size_t first = c->packet_count;
	uint32_t number = 0;
	char *kept = strdup(name);
	while (link_type != 0 && pcap_next_ex(pcap, &head, &data) == 1) {
		struct captured p = {.file = kept,
				     .number = ++number,
				     .link_type = link_type,
				     .wire_bytes = head->len,
				     .data = {data, head->caplen}};
		captures_add(c, &p);
	}
	pcap_close(pcap);
	if (c->packet_count == first) {
		c->other_files++;
		free(kept);
		return;
	}
	c->files = grown(c->files, c->file_count, &c->file_cap, sizeof(*c->files));
	c->files[c->file_count++] = (struct capture_file){kept, first, c->packet_count - first};
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

void captures_load(struct captures *c, const char *folder)
{
	char *root = strdup(folder);
	char *const roots[] = {root, NULL};
	FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
	*c = (struct captures){0};
	if (!walk) {
		perror(folder);
		exit(2);
	}
	for (FTSENT *entry; (entry = fts_read(walk));) {
		if (entry->fts_info == FTS_F && entry->fts_statp->st_size > 0)
			file_load(c, entry->fts_path, entry->fts_path + strlen(folder) + 1);
	}
	fts_close(walk);
	free(root);
}

void captures_fini(struct captures *c)
{
	for (size_t i = 0; i < c->packet_count; i++)
		free((void *)(uintptr_t)c->packets[i].data.p);
	for (size_t i = 0; i < c->file_count; i++)
		free(c->files[i].name);
	free(c->packets);
	free(c->files);
	*c = (struct captures){0};
}
