#include "sampler/cage.h"

#include "base/log.h"
#include "sampler/confine.h"

int cage_enter(const struct privilege_plan *plan, struct error *err)
{
	struct error why = {0};
	struct log_line l;
	int r = privilege_drop(plan, err);

	if (r < 0)
		return r;
	int confined = confine_process(&why);
	if (confined < 0 && confined != EC_ENOTFOUND)
		return error_set(err, confined, "%s", why.text);
	if (confined < 0)
		log_event(LOG_WARN, "not-confined", "reason", why.text, NULL);
	log_begin(&l, LOG_INFO, "privileges-dropped");
	log_u64(&l, "uid", plan->uid);
	log_u64(&l, "gid", plan->gid);
	log_str(&l, "bounding_set", plan->empty_bounding ? "empty" : "kept");
	log_str(&l, "seccomp", confined == 0 ? "on" : "off");
	log_end(&l);
	return 0;
}
