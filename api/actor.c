#include "api/actor.h"

struct jq_actor api_actor_of(const struct api_request *r)
{
	const struct api_identity *who = api_request_identity(r);

	return (struct jq_actor){.credential = who->credential,
				 .name = who->actor,
				 .source = api_request_peer(r),
				 .request_id = api_request_id(r)};
}
