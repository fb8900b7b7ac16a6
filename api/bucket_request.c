#include "api/bucket_request.h"

#include <string.h>

#include "base/json.h"

enum { CHALLENGE_BYTES_MAX = 4096 };

#define CONF "destination_conf"
#define CHALLENGE "ownership_challenge"

static const char *get_str(const cJSON *body, const char *name)
{
	return cJSON_GetStringValue(json_get(body, name));
}

static void read_destination(const cJSON *body, bool with_keys, struct bucket_request *q,
			     struct field_errors *errors)
{
	const char *text = get_str(body, CONF);
	struct error err = {.code = 0};

	if (!text)
		field_errors_add(errors, "/" CONF, CONF " is required: a text");
	else if (destination_parse(bytes_of(text), &q->destination, &err) < 0)
		field_errors_add(errors, "/" CONF, CONF ": %s", err.text);
	else if (with_keys && q->destination.scheme == BUCKET_R2 &&
		 !q->destination.access_key_id[0])
		field_errors_add(errors, "/" CONF,
				 CONF ": access-key-id and secret-access-key are required");
}

/* Returns 0 or EC_ENOMEM. */
static int read_challenge(const cJSON *body, struct arena *arena, struct bucket_request *q,
			  struct field_errors *errors)
{
	const char *text = get_str(body, CHALLENGE);

	if (!text || strlen(text) > CHALLENGE_BYTES_MAX) {
		field_errors_add(errors, "/" CHALLENGE,
				 CHALLENGE " is required: the content of the challenge's file");
		return 0;
	}
	char *copy = arena_strdup(arena, text);
	if (!copy)
		return EC_ENOMEM;
	q->challenge = bytes_of(copy);
	return 0;
}

/* Returns 0 or EC_ENOMEM. */
static int read_ignored(const cJSON *body, bool with_challenge, struct arena *arena,
			struct bucket_request *q)
{
	for (const cJSON *m = body->child; m; m = m->next) {
		if (strcmp(m->string, CONF) == 0 ||
		    (with_challenge && strcmp(m->string, CHALLENGE) == 0) ||
		    q->message_count >= BUCKET_REQUEST_MESSAGES_MAX)
			continue;
		const char *text =
			arena_printf(arena, "unknown field \"%.64s\" ignored", m->string);
		if (!text)
			return EC_ENOMEM;
		q->messages[q->message_count++] = text;
	}
	return 0;
}

int bucket_request_parse(const cJSON *body, bool with_challenge, bool with_keys,
			 struct arena *arena, struct bucket_request *ret,
			 struct field_errors *errors)
{
	size_t before = errors->count;
	int r = 0;

	memset(ret, 0, sizeof(*ret));
	read_destination(body, with_keys, ret, errors);
	if (with_challenge)
		r = read_challenge(body, arena, ret, errors);
	if (r == 0)
		r = read_ignored(body, with_challenge, arena, ret);
	if (errors->count > before)
		r = EC_EINVAL;
	if (r < 0)
		destination_wipe(&ret->destination);
	return r;
}
