#include "sampler/cage.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <time.h>

#include "base/log.h"
#include "sandbox/instrumented.h"
#include "sandbox/landlock.h"
#include "sandbox/privilege.h"
#include "sandbox/proc_status.h"
#include "sandbox/read_only.h"

/* What look-ups and TLS read, when they are needed and not before. All of /etc and not its few files: they are replaced, by DHCP
 * for one, and a rule for a file ends with it. Whom that leaves out is up to the files' modes: it is an ordinary user who reads. */
static const char *const network_readable[] = {
	"/etc",
	"/run/systemd/resolve", /* where links in /etc lead */
	"/run/NetworkManager",
	"/run/resolvconf",
	"/usr/share/ca-certificates",
	"/usr/local/share/ca-certificates",
	"/usr/lib/ssl", /* OpenSSL's settings */
	"/usr/share/zoneinfo",
};

enum { READABLE_MAX = ARRAY_LEN(network_readable) + CAGE_READABLE_MAX };

/* --- what the kernel cannot do --- */

static int missing(const struct cage_plan *plan, const struct error *why, struct error *err)
{
	/* Such a build is for tests, and says so in its log. */
	if (SANDBOX_INSTRUMENTED || plan->may_be_open) {
		log_event(LOG_WARN, "not-confined", "reason", why->text, NULL);
		return 0;
	}
	return error_set(err, EC_ENOTFOUND, "%s (EDGECAP_UNCONFINED=yes: run without)", why->text);
}

/* --- the parts --- */

/* How the file system is shut. */
enum fence { FENCE_NONE, FENCE_LANDLOCK, FENCE_MOUNTS };

static const char *fence_text(enum fence fence)
{
	switch (fence) {
	case FENCE_NONE:
		return "off";
	case FENCE_LANDLOCK:
		return "on";
	case FENCE_MOUNTS:
		break;
	}
	return "no, but read-only mounts";
}

/* Without Landlock, as long as there are privileges. */
static int mounts_shut(const struct cage_plan *plan, enum fence *fence, struct error *err)
{
	struct error why = {0};

	if (SANDBOX_INSTRUMENTED || !plan->privilege || landlock_version() > 0)
		return 0;
	int r = read_only_enter(plan->writable, &why);
	if (r == EC_ENOTFOUND)
		return 0; /* files_shut decides */
	if (r == 0)
		*fence = FENCE_MOUNTS;
	return r < 0 ? error_set(err, r, "%s", why.text) : 0;
}

static int files_shut(const struct cage_plan *plan, enum fence *fence, struct error *err)
{
	const char *readable[READABLE_MAX];
	struct landlock_plan files = {.readable = readable,
				      .writable = &plan->writable,
				      .writable_count = plan->writable >= 0};
	struct error why = {0};

	if (*fence != FENCE_NONE)
		return 0;
	for (size_t i = 0; plan->calls.network && i < ARRAY_LEN(network_readable); i++)
		readable[files.readable_count++] = network_readable[i];
	for (size_t i = 0; i < CAGE_READABLE_MAX && plan->readable[i]; i++)
		readable[files.readable_count++] = plan->readable[i];
	int r = landlock_restrict(&files, &why);
	if (r == EC_ENOTFOUND)
		return missing(plan, &why, err);
	if (r == 0)
		*fence = FENCE_LANDLOCK;
	return r < 0 ? error_set(err, r, "%s", why.text) : 0;
}

static int calls_shut(const struct cage_plan *plan, int status, bool *ret_on, struct error *err)
{
	uint8_t room[PROC_STATUS_BYTES];
	struct bytes text;
	struct error why = {0};
	int r = confine_process(&plan->calls, &why);

	if (r == EC_ENOTFOUND)
		return missing(plan, &why, err);
	if (r < 0)
		return error_set(err, r, "%s", why.text);
	*ret_on = true;
	r = proc_status_read(status, room, &text, err);
	if (r == 0)
		r = proc_status_check(text, "NoNewPrivs:", "1", err);
	return r == 0 ? proc_status_check(text, "Seccomp:", "2", err) : r;
}

static int user_shut(const struct cage_plan *plan, struct error *err)
{
	if (plan->privilege)
		return privilege_drop(plan->privilege, err);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set_errno(err, EC_EPERM, errno, "cannot set no_new_privs");
	return 0;
}

static void tell(const struct cage_plan *plan, enum fence fence, bool calls)
{
	const struct privilege_plan *p = plan->privilege;
	struct log_line l;

	log_begin(&l, p ? LOG_INFO : LOG_DEBUG, "privileges-dropped");
	if (p) {
		log_u64(&l, "uid", p->uid);
		log_u64(&l, "gid", p->gid);
		log_str(&l, "bounding_set", p->empty_bounding ? "empty" : "kept");
	}
	log_str(&l, "seccomp", calls ? "on" : "off");
	log_str(&l, "landlock", fence_text(fence));
	log_u64(&l, "memory_max", plan->limits.memory_bytes);
	log_end(&l);
}

int cage_enter(const struct cage_plan *plan, struct error *err)
{
	struct resource_limits limits = plan->limits;
	enum fence fence = FENCE_NONE;
	bool calls = false;
	/* Before the way to them is shut: the first time that is written out (gmtime_r) would read /etc/localtime. */
	tzset();
	AUTO_FD int status = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

	if (status < 0)
		return error_set_errno(err, EC_EIO, errno, "cannot open /proc/self/status");
	if (SANDBOX_INSTRUMENTED)
		limits.memory_bytes = 0;
	int r = resource_limits_set(&limits, err);
	if (r == 0)
		r = mounts_shut(plan, &fence, err);
	if (r == 0)
		r = user_shut(plan, err);
	if (r == 0)
		r = files_shut(plan, &fence, err);
	if (r == 0)
		r = calls_shut(plan, status, &calls, err);
	if (r == 0)
		tell(plan, fence, calls);
	return r;
}
