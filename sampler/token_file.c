#include "sampler/token_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct token_file {
	char *path;
	char *directory, *name; /* in copies of their own: dirname(3) writes into its argument */
	char *directory_copy, *name_copy;
	int fd; /* of the directory */
};

int token_file_new(const char *path, struct token_file **ret, struct error *err)
{
	struct token_file *t = calloc(1, sizeof(*t));

	if (!t)
		return error_set(err, EC_ENOMEM, "out of memory");
	t->fd = -1;
	t->path = strdup(path);
	t->directory_copy = strdup(path);
	t->name_copy = strdup(path);
	if (!t->path || !t->directory_copy || !t->name_copy) {
		token_file_free(t);
		return error_set(err, EC_ENOMEM, "out of memory");
	}
	t->directory = dirname(t->directory_copy);
	t->name = basename(t->name_copy);
	t->fd = open(t->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (t->fd < 0) {
		int r = error_set_errno(err, EC_EINVAL, errno,
					"EDGECAP_SAMPLER_TOKEN_FILE: cannot open %s", t->directory);
		token_file_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

void token_file_free(struct token_file *t)
{
	if (!t)
		return;
	if (t->fd >= 0)
		(void)close(t->fd);
	free(t->path);
	free(t->directory_copy);
	free(t->name_copy);
	free(t);
}

const char *token_file_directory(const struct token_file *t)
{
	return t->directory;
}

int token_check(const char *what, const char *token, struct error *err)
{
	size_t n = strlen(token);

	if (n < 1 || n > LIMIT_CREDENTIAL_BYTES)
		return error_set(err, EC_EINVAL, "%s has %zu characters, a token 1 to %d", what, n,
				 LIMIT_CREDENTIAL_BYTES);
	for (const char *p = token; *p; p++) {
		if (*p <= ' ' || *p > '~')
			return error_set(err, EC_EINVAL, "%s has a character that no token has",
					 what);
	}
	return 0;
}

int token_file_read(const struct token_file *t, char *dst, struct error *err)
{
	char text[TOKEN_TEXT_BYTES + 2]; /* one too many and "\r\n" are seen */
	size_t n = 0;
	ssize_t got = 0;
	AUTO_FD int fd = openat(t->fd, t->name, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return error_set_errno(err, EC_EINVAL, errno, "cannot open %s", t->path);
	while (n < sizeof(text) - 1 && (got = read(fd, text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)got;
	if (got < 0)
		return error_set_errno(err, EC_EINVAL, errno, "cannot read %s", t->path);
	if (n > 0 && text[n - 1] == '\n')
		n--;
	if (n > 0 && text[n - 1] == '\r')
		n--;
	text[n] = '\0';
	int r = strlen(text) == n ? token_check(t->path, text, err)
				  : error_set(err, EC_EINVAL, "%s contains a NUL byte", t->path);
	if (r == 0)
		memcpy(dst, text, n + 1);
	explicit_bzero(text, sizeof(text));
	return r;
}
