/* ThreadSanitizer intercepts open(2) but not openat(2), and libuv closes descriptors by a raw system call. So a
 * connection's number that openat gives to another thread looks shared, and using it looks like a race.
 * This openat, in builds with ThreadSanitizer only, goes through open.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

int openat(int folder_fd, const char *path, int flags, ...)
{
	char whole[PATH_MAX + 32];
	mode_t mode = 0;
	va_list args;

	va_start(args, flags);
	if (flags & (O_CREAT | O_TMPFILE))
		mode = (mode_t)va_arg(args, unsigned);
	va_end(args);
	if (folder_fd == AT_FDCWD || path[0] == '/')
		return open(path, flags, mode);
	(void)snprintf(whole, sizeof(whole), "/proc/self/fd/%d/%s", folder_fd, path);
	return open(whole, flags, mode);
}
