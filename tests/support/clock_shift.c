/* A host with a wrong clock, for tests: LD_PRELOAD this, and every wall clock that the program can read is CLOCK_SHIFT_S
 * seconds off: clock_gettime(CLOCK_REALTIME), gettimeofday, time, and the time stamps of captured packets, which
 * on a real host come from the same clock. CLOCK_MONOTONIC is as it is.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <pcap/pcap.h>

static long shift_s(void)
{
	const char *text = getenv("CLOCK_SHIFT_S");

	return text ? strtol(text, NULL, 10) : 0;
}

static __typeof__(&clock_gettime) real_clock_gettime;
static __typeof__(&pcap_dispatch) real_pcap_dispatch;

/* Looked up once and early: dlsym allocates, and a sanitizer's allocator reads the clock. */
__attribute__((constructor)) static void look_up(void)
{
	real_pcap_dispatch = (__typeof__(&pcap_dispatch))dlsym(RTLD_NEXT, "pcap_dispatch");
	real_clock_gettime = (__typeof__(&clock_gettime))dlsym(RTLD_NEXT, "clock_gettime");
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	int ret = real_clock_gettime ? real_clock_gettime(id, ts)
				     : (int)syscall(SYS_clock_gettime, id, ts);

	if (ret == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		ts->tv_sec += shift_s();
	return ret;
}

int gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
	struct timespec now;

	(void)tz;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	*tv = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
	return 0;
}

time_t time(time_t *ret)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (ret)
		*ret = now.tv_sec;
	return now.tv_sec;
}

struct shifted {
	pcap_handler handler;
	u_char *user;
};

static void shifted_packet(u_char *user, const struct pcap_pkthdr *header, const u_char *data)
{
	const struct shifted *s = (const struct shifted *)(const void *)user;
	struct pcap_pkthdr copy = *header;

	copy.ts.tv_sec += shift_s();
	s->handler(s->user, &copy, data);
}

int pcap_dispatch(pcap_t *p, int count, pcap_handler handler, u_char *user)
{
	struct shifted s = {handler, user};

	return real_pcap_dispatch(p, count, shifted_packet, (u_char *)&s);
}
