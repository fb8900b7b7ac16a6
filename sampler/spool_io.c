#include "sampler/spool_io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

enum {
	PATH_BYTES = ID_HEX_LEN + 1 + 256 + 1,
	DIR_MODE = 0700,
	FILE_MODE = 0600,
};

static const char meta_file[] = "part.json";

int spool_io_prepare(const char *dir, uid_t uid, gid_t gid, struct error *err)
{
	bool made = mkdir(dir, DIR_MODE) == 0;

	if (!made && errno != EEXIST)
		return error_set_errno(err, EC_EINVAL, errno, "EDGECAP_SPOOL_DIR: cannot make %s",
				       dir);
	AUTO_FD int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_set_errno(err, EC_EINVAL, errno, "EDGECAP_SPOOL_DIR: cannot open %s",
				       dir);
	if (made && (uid != geteuid() || gid != getegid()) && fchown(fd, uid, gid) < 0)
		return error_set_errno(err, EC_EINVAL, errno,
				       "EDGECAP_SPOOL_DIR: cannot give %s to user %u", dir, uid);
	return TAKE_FD(fd);
}

int spool_io_lock(int dir, struct error *err)
{
	AUTO_FD int lock =
		openat(dir, ".lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);

	if (lock < 0)
		return error_set_errno(err, EC_EINVAL, errno,
				       "EDGECAP_SPOOL_DIR: user %u cannot write to it", geteuid());
	if (flock(lock, LOCK_EX | LOCK_NB) < 0)
		return error_set(err, EC_EINVAL, "EDGECAP_SPOOL_DIR: %s",
				 errno == EWOULDBLOCK ? "another sampler uses it"
						      : strerror(errno));
	return TAKE_FD(lock);
}

void spool_io_chunk_file(uint32_t stream, uint32_t seq, char *dst)
{
	(void)snprintf(dst, SPOOL_FILE_BYTES, "%02u-%08u.pcapng", stream % 100, seq % 100000000);
}

int spool_io_chunk_parse(const char *name, uint32_t *ret_stream, uint32_t *ret_seq)
{
	char exact[SPOOL_FILE_BYTES];
	char *end = NULL;
	uint32_t stream = (uint32_t)strtoul(name, &end, 10);
	uint32_t seq = *end == '-' ? (uint32_t)strtoul(end + 1, NULL, 10) : 0;

	/* Whatever was read: the name must be the one that these numbers have. */
	spool_io_chunk_file(stream, seq, exact);
	if (strcmp(name, exact) != 0)
		return EC_EFORMAT;
	*ret_stream = stream;
	*ret_seq = seq;
	return 0;
}

/* "<pcap>/<name>" below the spool. dst: PATH_BYTES; a longer name is cut, which then names nothing. */
static const char *path_of(const struct id *pcap, const char *name, char *dst)
{
	(void)snprintf(dst, PATH_BYTES, "%s/%s", pcap->hex, name);
	return dst;
}

static int fail(struct error *err, int saved, const char *what, const char *path)
{
	int code = saved == ENOSPC || saved == EDQUOT || saved == EFBIG ? EC_ELIMIT : EC_EIO;

	return error_set_errno(err, code, saved, "cannot %s %s in the spool", what, path);
}

/* Write under the name "new.tmp", then give it its own. */
static int file_write(int dir, const struct id *pcap, const char *name, struct bytes data,
		      struct error *err)
{
	char path[PATH_BYTES], temporary[PATH_BYTES];

	(void)path_of(pcap, name, path);
	(void)path_of(pcap, "new.tmp", temporary);
	int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
			FILE_MODE);
	if (fd < 0)
		return fail(err, errno, "create", temporary);
	int failed = fd_write_all(fd, data) < 0 ? errno : 0;
	if (close(fd) < 0 && !failed) /* network and quota file systems say it here */
		failed = errno;
	if (!failed && renameat(dir, temporary, dir, path) < 0)
		failed = errno;
	if (!failed)
		return 0;
	(void)unlinkat(dir, temporary, 0);
	return fail(err, failed, "write", path);
}

int spool_io_meta_write(int dir, const struct id *pcap, struct bytes text, struct error *err)
{
	if (mkdirat(dir, pcap->hex, DIR_MODE) < 0 && errno != EEXIST)
		return fail(err, errno, "make", pcap->hex);
	return file_write(dir, pcap, meta_file, text, err);
}

int spool_io_chunk_write(int dir, const struct id *pcap, uint32_t stream, uint32_t seq,
			 struct bytes data, struct error *err)
{
	char name[SPOOL_FILE_BYTES];

	spool_io_chunk_file(stream, seq, name);
	return file_write(dir, pcap, name, data, err);
}

int spool_io_read(int dir, const struct id *pcap, const char *name, struct buf *out,
		  struct error *err)
{
	char path[PATH_BYTES];
	struct stat st;

	/* O_NONBLOCK: a fifo that somebody put there must not stop us. */
	AUTO_FD int fd = openat(dir, path_of(pcap, name, path),
				O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return error_set(err, EC_ENOTFOUND, "no %s in the spool", path);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set_errno(err, EC_EIO, errno, "cannot open %s in the spool", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, EC_EIO, "%s in the spool is no regular file", path);
	/* Grown bounded: the size is what the file says of itself. */
	int r = buf_reserve(out, (size_t)st.st_size);
	if (r < 0)
		return error_set(err, r, "%s in the spool has %lld bytes", path,
				 (long long)st.st_size);
	for (size_t left = (size_t)st.st_size; left > 0;) {
		ssize_t n = read(fd, out->p + out->n, left);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set_errno(err, EC_EIO, errno, "cannot read %s in the spool",
					       path);
		if (n == 0)
			break;
		out->n += (size_t)n;
		left -= (size_t)n;
	}
	return 0;
}

int spool_io_unlink(int dir, const struct id *pcap, const char *name, struct error *err)
{
	char path[PATH_BYTES];

	if (unlinkat(dir, path_of(pcap, name, path), 0) < 0 && errno != ENOENT)
		return error_set_errno(err, EC_EIO, errno, "cannot remove %s from the spool", path);
	return 0;
}

int spool_io_part_remove(int dir, const struct id *pcap, struct error *err)
{
	int r = 0;
	int fd = openat(dir, pcap->hex, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *entries = fd < 0 ? NULL : fdopendir(fd);

	if (!entries) {
		int saved = errno;
		if (fd >= 0)
			(void)close(fd);
		return saved == ENOENT ? 0
				       : error_set_errno(err, EC_EIO, saved,
							 "cannot open %s in the spool", pcap->hex);
	}
	for (struct dirent *e = readdir(entries); e; e = readdir(entries)) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && r == 0)
			r = spool_io_unlink(dir, pcap, e->d_name, err);
	}
	(void)closedir(entries);
	if (r == 0 && unlinkat(dir, pcap->hex, AT_REMOVEDIR) < 0)
		r = error_set_errno(err, EC_EIO, errno, "cannot remove %s from the spool",
				    pcap->hex);
	return r;
}
