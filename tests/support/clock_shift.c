/* A host with a wrong clock, for tests: LD_PRELOAD this, and every wall clock that the program can read is CLOCK_SHIFT_S
 * seconds off: clock_gettime(CLOCK_REALTIME), gettimeofday, time, and the time stamps of captured packets, which
 * on a real host come from the same clock. CLOCK_MONOTONIC is as it is.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

#include <pcap/pcap.h>

static long shift_s(void)
{
	const char *text = getenv("CLOCK_SHIFT_S");

	return text ? strtol(text, NULL, 10) : 0;
}

#define REAL(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

int clock_gettime(clockid_t id, struct timespec *ts)
{
	int ret = REAL(clock_gettime)(id, ts);

	if (ret == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		ts->tv_sec += shift_s();
	return ret;
}

int gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
	int ret = REAL(gettimeofday)(tv, tz);

	if (ret == 0 && tv)
		tv->tv_sec += shift_s();
	return ret;
}

time_t time(time_t *ret)
{
	time_t now = REAL(time)(NULL) + shift_s();

	if (ret)
		*ret = now;
	return now;
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

	return REAL(pcap_dispatch)(p, count, shifted_packet, (u_char *)&s);
}
