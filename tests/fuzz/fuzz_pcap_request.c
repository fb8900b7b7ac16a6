/* POST /pcaps (first line: Content-Type, the rest: body): no crash, faults exactly when refused, and what is accepted lies within
 * the contract and shows the same filter again. */
#include <stdlib.h>
#include <string.h>

#include "api/pcap_request.h"
#include "base/json.h"
#include "base/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* What only a full one has, or must not have. */
static void check_full(const struct pcap_request *q)
{
	struct destination again;
	struct error err;

	EC_ASSERT(q->packet_limit <= LIMIT_PACKETS_MAX);
	EC_ASSERT(q->byte_limit >= LIMIT_FULL_BYTES_MIN && q->byte_limit <= LIMIT_FULL_BYTES_MAX);
	EC_ASSERT(strlen(q->colo_name) >= 1 && strlen(q->colo_name) <= LIMIT_COLO_BYTES);
	EC_ASSERT(strpbrk(q->colo_name, "%_.*'\"\\ \n") == NULL);
	EC_ASSERT(strcmp(q->colo_pointer, "/colo") == 0 ||
		  strcmp(q->colo_pointer, "/colo_name") == 0);
	EC_ASSERT(q->destination.access_key_id[0] == '\0' &&
		  q->destination.secret_access_key[0] == '\0');
	EC_ASSERT(destination_parse(bytes_of(q->destination.canonical), &again, &err) == 0);
	EC_ASSERT(strcmp(again.canonical, q->destination.canonical) == 0);
}

static void check_simple(const struct pcap_request *q)
{
	EC_ASSERT(q->time_limit_s <= LIMIT_TIME_S_MAX);
	EC_ASSERT(q->packet_limit >= LIMIT_PACKETS_MIN && q->packet_limit <= LIMIT_PACKETS_MAX);
	EC_ASSERT(q->byte_limit == 0 && !q->colo_name && q->destination.canonical[0] == '\0');
}

static void check_accepted(const struct pcap_request *q)
{
	struct filter again;
	struct field_errors errors = {.count = 0};
	struct error err;
	AUTO_JSON cJSON *tree = NULL;

	EC_ASSERT(strcmp(q->system, "magic-transit") == 0);
	EC_ASSERT(q->time_limit_s >= LIMIT_TIME_S_MIN && q->time_limit_s <= LIMIT_FULL_TIME_S_MAX);
	if (strcmp(q->type, JOB_FULL) == 0)
		check_full(q);
	else
		check_simple(q);
	EC_ASSERT(json_parse(bytes_of(q->filter_json), &tree, &err) == 0);
	EC_ASSERT(filter_from_json(tree, "", &again, &errors) == 0);
	EC_ASSERT(memcmp(&again, &q->filter, sizeof(again)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const uint8_t *line = n > 0 ? memchr(p, '\n', n) : NULL;
	struct pcap_request q;
	struct field_errors errors = {.count = 0};
	struct arena arena;

	if (!line || n > LIMIT_BODY_BYTES)
		return 0;
	struct bytes type = {p, (size_t)(line - p)};
	struct bytes body = {line + 1, n - type.n - 1};
	arena_init(&arena, LIMIT_REQUEST_ARENA_BYTES);
	int r = pcap_request_parse(type, body, &arena, &q, &errors);
	EC_ASSERT((r == EC_EINVAL) == (errors.count > 0));
	if (r == 0)
		check_accepted(&q);
	arena_fini(&arena);
	return 0;
}
