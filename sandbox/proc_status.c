#include "sandbox/proc_status.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

int proc_status_read(int fd, uint8_t *dst, struct bytes *ret, struct error *err)
{
	size_t n = 0;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return error_set_errno(err, EC_EIO, errno, "cannot read a status in /proc");
	for (;;) {
		ssize_t got = read(fd, dst + n, PROC_STATUS_BYTES - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_set_errno(err, EC_EIO, errno, "cannot read a status in /proc");
		if (got == 0)
			break;
		n += (size_t)got;
	}
	*ret = (struct bytes){dst, n};
	return 0;
}

struct bytes proc_status_line(struct bytes text, const char *name)
{
	size_t name_len = strlen(name);
	const uint8_t *end = text.p + text.n;

	for (const uint8_t *line = text.p; line < end;) {
		const uint8_t *newline = memchr(line, '\n', (size_t)(end - line));
		const uint8_t *stop = newline ? newline : end;
		if ((size_t)(stop - line) >= name_len && memcmp(line, name, name_len) == 0) {
			const uint8_t *value = line + name_len;
			while (value < stop && (*value == ' ' || *value == '\t'))
				value++;
			while (stop > value && (stop[-1] == ' ' || stop[-1] == '\t'))
				stop--;
			return (struct bytes){value, (size_t)(stop - value)};
		}
		line = stop + 1;
	}
	return (struct bytes){0};
}

/* True when every word of value is the same as word; false when there is none. */
static bool words_are(struct bytes value, const char *word)
{
	size_t len = strlen(word);
	size_t at = 0;

	while (at < value.n) {
		if (value.n - at < len || memcmp(value.p + at, word, len) != 0)
			return false;
		at += len;
		if (at < value.n && value.p[at] != '\t' && value.p[at] != ' ')
			return false;
		while (at < value.n && (value.p[at] == '\t' || value.p[at] == ' '))
			at++;
	}
	return value.n > 0;
}

int proc_status_check(struct bytes status, const char *name, const char *want, struct error *err)
{
	struct bytes value = proc_status_line(status, name);

	if (!value.p)
		return error_set(err, EC_EPERM, "there is no %s in /proc/self/status", name);
	if (*want ? words_are(value, want) : value.n == 0)
		return 0;
	return error_set(err, EC_EPERM, "privileges are not gone: %s %.*s instead of \"%s\"", name,
			 (int)(value.n < 64 ? value.n : 64), (const char *)value.p, want);
}
