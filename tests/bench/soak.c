/* Cycle soaker: counts what of a processor is left over by everything else, interrupts and the kernel included.
 *
 * Runs at the idle scheduling class, so that it gets only time that nobody wants. The iterations lost against a run of the same length
 * beside an idle neighbour are the cost of whatever ran there: nothing has to be attributed to a process. (The idea is that of Andrew Morton's
 * cyclesoak, 2001.) `soak CPU MILLISECONDS` prints the iterations; the time is wall-clock.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/parse.h"

enum { ROUND = 256 };

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

int main(int argc, char **argv)
{
	uint64_t cpu, ms;
	cpu_set_t set;
	struct sched_param idle = {0};

	if (argc != 3 || parse_u64(bytes_of(argv[1]), 0, CPU_SETSIZE - 1, &cpu) < 0 ||
	    parse_u64(bytes_of(argv[2]), 1, 600000, &ms) < 0) {
		(void)fprintf(stderr, "Usage: soak CPU MILLISECONDS (1..600000)\n");
		return 2;
	}
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0 ||
	    sched_setscheduler(0, SCHED_IDLE, &idle) < 0) {
		perror("soak");
		return EXIT_FAILURE;
	}
	uint64_t begin = now_ns(), until = begin + ms * 1000000, iterations = 0, now = begin;
	volatile uint32_t sink = 0;
	while (now < until) {
		for (uint32_t i = 0; i < ROUND; i++)
			sink = sink * 1664525u + 1013904223u;
		iterations++;
		now = now_ns();
	}
	(void)printf("{\"iterations\": %llu, \"seconds\": %.6f}\n", (unsigned long long)iterations,
		     (double)(now - begin) * 1e-9);
	return EXIT_SUCCESS;
}
