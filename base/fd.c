#include "base/fd.h"

#include <errno.h>
#include <unistd.h>

int fd_write_all(int fd, struct bytes b)
{
	while (b.n > 0) {
		ssize_t n = write(fd, b.p, b.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return EC_EIO;
		b.p += n;
		b.n -= (size_t)n;
	}
	return 0;
}
