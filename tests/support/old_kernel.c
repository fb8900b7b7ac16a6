/* Preloaded: a kernel that lacks what OLD_KERNEL names, "landlock", "mounts" or "seccomp", for programs that ask by syscall(2). */
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ARGUMENTS = 6 };

static int lacks(long number)
{
	const char *what = getenv("OLD_KERNEL");

	return what && ((number == SYS_landlock_create_ruleset && strstr(what, "landlock")) ||
			(number == SYS_open_tree && strstr(what, "mounts")) ||
			(number == SYS_seccomp && strstr(what, "seccomp")));
}

long syscall(long number, ...)
{
	long (*next)(long, ...) = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	long a[ARGUMENTS];
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < ARGUMENTS; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (lacks(number)) {
		errno = ENOSYS;
		return -1;
	}
	return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
