/* Seeded random numbers for property tests (splitmix64, Steele et al. 2014).
 *
 * The seed is printed by prng_start; EDGECAP_SEED=N repeats a run. Not for secrets.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct prng {
	uint64_t state;
};

/* The next 64 bits. */
static inline uint64_t prng_u64(struct prng *r)
{
	uint64_t z = (r->state += 0x9e3779b97f4a7c15u);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* A number below n, n >= 1 (the bias of the remainder does not matter here). */
static inline uint64_t prng_below(struct prng *r, uint64_t n)
{
	return prng_u64(r) % n;
}

/* True once in n on average. */
static inline int prng_one_in(struct prng *r, uint64_t n)
{
	return prng_below(r, n) == 0;
}

/* A generator seeded from EDGECAP_SEED or the clock; prints the seed. what: name of the test. */
static inline struct prng prng_start(const char *what)
{
	const char *given = getenv("EDGECAP_SEED");
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	uint64_t seed = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	if (given)
		seed = strtoull(given, NULL, 10);
	printf("%s: EDGECAP_SEED=%llu\n", what, (unsigned long long)seed);
	return (struct prng){seed};
}
