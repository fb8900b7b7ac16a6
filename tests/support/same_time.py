"""Do two kinds of requests take the same time? For tests that an answer's time tells nothing.

The two kinds are asked in random order, one after the other on one connection, so whatever else the machine does meets both alike. Compared are
the distributions and no clock: the two-sample Kolmogorov-Smirnov distance, whose law under "they are the same" does not depend
on what the times are (Smirnov 1948).
"""

import math
import random
import time

# A test makes some dozens of comparisons; all of them together fail by chance less than once in ten thousand runs.
FALSE_ALARM = 1e-6


def distance(one, two):
    """The largest difference of the two empirical distribution functions, 0 to 1."""
    both = sorted([(x, 0) for x in one] + [(x, 1) for x in two])
    seen, worst = [0, 0], 0.0
    for i, (value, which) in enumerate(both):
        seen[which] += 1
        if i + 1 == len(both) or both[i + 1][0] != value:
            worst = max(worst, abs(seen[0] / len(one) - seen[1] / len(two)))
    return worst


def critical(n, m):
    """What the distance of n and m times of one law exceeds with probability FALSE_ALARM (asymptotic)."""
    return math.sqrt(-math.log(FALSE_ALARM / 2) / 2 * (n + m) / (n * m))


def measure(asks, count, seed):
    """Call each of asks count times in random order; the seconds that each took, a list each."""
    order = [i for i in range(len(asks)) for _ in range(count)]
    random.Random(seed).shuffle(order)
    took = [[] for _ in asks]
    for i in order:
        begin = time.perf_counter()
        asks[i]()
        took[i].append(time.perf_counter() - begin)
    return took
