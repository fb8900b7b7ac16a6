/* A disk that hangs, for tests: linked with -Wl,--wrap=write, a program's write(2) to a file waits as long as the file that HANGING_DISK_FILE names is there.
 * It makes no system call that a sampler's cage would kill it for. Pipes, sockets and standard error (the log) are as they were.
 */
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOOK_MS = 5 };

ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);

ssize_t __wrap_write(int fd, const void *p, size_t n)
{
	const char *file = getenv("HANGING_DISK_FILE");
	struct stat st;

	if (file && fd > STDERR_FILENO && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		while (stat(file, &st) == 0)
			(void)poll(NULL, 0, LOOK_MS);
	}
	return __real_write(fd, p, n);
}
