#include "sampler/job_table.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/error.h"

LIST_HEAD(job_bucket, job);
TAILQ_HEAD(job_order, job);

struct job_table {
	uint32_t count, jobs_max;
	struct job_order order;
	uint64_t mask;
	struct job_bucket buckets[];
};

struct job_table *job_table_new(uint32_t jobs_max)
{
	uint64_t buckets = 16;

	while (buckets < jobs_max)
		buckets <<= 1;
	struct job_table *t = calloc(1, sizeof(*t) + buckets * sizeof(t->buckets[0]));
	if (!t)
		return NULL;
	t->jobs_max = jobs_max;
	t->mask = buckets - 1;
	TAILQ_INIT(&t->order);
	return t;
}

void job_table_free(struct job_table *t)
{
	if (!t)
		return;
	while (!TAILQ_EMPTY(&t->order))
		job_table_remove(t, TAILQ_FIRST(&t->order));
	free(t);
}

static uint64_t bucket_of(const struct job_table *t, const struct id *pcap)
{
	return XXH3_64bits(pcap->hex, ID_HEX_LEN) & t->mask;
}

struct job *job_table_find(const struct job_table *t, const struct id *pcap)
{
	struct job *j;

	LIST_FOREACH(j, &t->buckets[bucket_of(t, pcap)], bucket)
	{
		if (id_equal(&j->what.pcap, pcap))
			return j;
	}
	return NULL;
}

void job_table_add(struct job_table *t, struct job *j)
{
	EC_ASSERT(t->count < t->jobs_max && !job_table_find(t, &j->what.pcap));
	LIST_INSERT_HEAD(&t->buckets[bucket_of(t, &j->what.pcap)], j, bucket);
	TAILQ_INSERT_TAIL(&t->order, j, order);
	t->count++;
}

void job_table_remove(struct job_table *t, struct job *j)
{
	LIST_REMOVE(j, bucket);
	TAILQ_REMOVE(&t->order, j, order);
	t->count--;
	job_free(j);
}

uint32_t job_table_count(const struct job_table *t)
{
	return t->count;
}

struct job *job_first(const struct job_table *t)
{
	return TAILQ_FIRST(&t->order);
}

struct job *job_next(const struct job *j)
{
	return TAILQ_NEXT(j, order);
}
