#include "sandbox/resource_limits.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/proc_status.h"

enum { KIB = 1024 };

int resource_memory_used(uint64_t *ret, struct error *err)
{
	uint8_t room[PROC_STATUS_BYTES];
	struct bytes text, line;
	uint64_t kib = 0;
	AUTO_FD int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_set_errno(err, EC_EIO, errno, "cannot open /proc/self/status");
	int r = proc_status_read(fd, room, &text, err);
	if (r < 0)
		return r;
	line = proc_status_line(text, "VmData:");
	for (size_t i = 0; i < line.n && line.p[i] >= '0' && line.p[i] <= '9'; i++)
		kib = kib * 10 + (line.p[i] - '0');
	if (kib == 0)
		return error_set(err, EC_EIO, "/proc/self/status has no VmData");
	*ret = kib * KIB;
	return 0;
}

bool resource_log_is_file(void)
{
	struct stat st;

	for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
			return true;
	}
	return false;
}

static int set(__rlimit_resource_t resource, uint64_t most, const char *what, struct error *err)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) < 0)
		return error_set_errno(err, EC_EPERM, errno, "cannot read the limit of %s", what);
	if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max > most)
		limit.rlim_max = most;
	if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > limit.rlim_max)
		limit.rlim_cur = limit.rlim_max;
	if (setrlimit(resource, &limit) < 0)
		return error_set_errno(err, EC_EPERM, errno, "cannot limit %s", what);
	return 0;
}

int resource_limits_set(const struct resource_limits *limits, struct error *err)
{
	int r = set(RLIMIT_CORE, 0, "core dumps", err);

	if (r == 0 && limits->memory_bytes > 0)
		r = set(RLIMIT_DATA, limits->memory_bytes, "memory", err);
	if (r == 0 && limits->descriptors > 0)
		r = set(RLIMIT_NOFILE, limits->descriptors, "descriptors", err);
	if (r == 0 && limits->file_bytes > 0) {
		(void)signal(SIGXFSZ, SIG_IGN);
		r = set(RLIMIT_FSIZE, limits->file_bytes, "the size of files", err);
	}
	return r;
}
