#include "base/end_signals.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/signalfd.h>
#include <unistd.h>

static int signals_open(bool hangup, struct error *err)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	if (hangup)
		(void)sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return error_set_errno(err, EC_EIO, errno, "cannot block signals");
	int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return fd < 0 ? error_set_errno(err, EC_EIO, errno, "no signalfd") : fd;
}

int end_signals_open(struct error *err)
{
	return signals_open(false, err);
}

int end_signals_open_hangup(struct error *err)
{
	return signals_open(true, err);
}

int end_signals_read(int fd)
{
	struct signalfd_siginfo info;

	return read(fd, &info, sizeof(info)) == sizeof(info) ? (int)info.ssi_signo : 0;
}

const char *end_signal_text(int number)
{
	return number == SIGTERM ? "SIGTERM" : "SIGINT";
}
