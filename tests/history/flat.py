# SPDX-License-Identifier: Apache-2.0
"""Is a series of measurements flat? Knows no process and no clock.

The first quarter warms up and is left out. The rest is brought down to at
most POINTS medians, so that a spike is none of them. It has grown when both
hold: it rises more steadily than chance explains (Mann and Kendall's test,
Z deviations), and by more than is allowed over the time judged (the median of
the slopes between all pairs of points, Theil and Sen's). Noise fails the first,
a drift that means nothing the second, and a leak neither, however noisy.
"""

import collections
import itertools
import math
import statistics

POINTS = 60
FEWEST = 12                   # measurements that can be judged
Z = 3.3                       # one flat series in 2,000
SHARE = 0.06
LEAST = {"memory": 2048, "resident": 2048, "files": 8, "processes": 1}

Row = collections.namedtuple("Row", "name what count begin rise allowed word")
GREW, FLAT, SHORT = "GREW", "flat", "TOO FEW"


def settled(values):
    """Without the first quarter, as at most POINTS medians."""
    values = values[len(values) // 4:]
    size = max(1, math.ceil(len(values) / POINTS))
    return [statistics.median(values[i:i + size])
            for i in range(0, len(values), size)]


def steadiness(points):
    """Mann and Kendall's Z: 0 for no trend, above 3 for a rise."""
    n = len(points)
    s = sum((b > a) - (b < a) for a, b in itertools.combinations(points, 2))
    deviation = math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    return (s - (s > 0) + (s < 0)) / deviation


def rise(points):
    """From the first point to the last, along the median slope."""
    slopes = [(points[j] - points[i]) / (j - i)
              for i, j in itertools.combinations(range(len(points)), 2)]
    return statistics.median(slopes) * (len(points) - 1)


def judge_series(name, what, values):
    if len(values) < FEWEST:
        return Row(name, what, len(values), 0, 0, 0, SHORT)
    points = settled(values)
    begin = statistics.median(points[:max(1, len(points) // 4)])
    allowed = max(LEAST[what], SHARE * begin)
    grown = rise(points)
    bad = grown > allowed and steadiness(points) > Z
    return Row(name, what, len(values), begin, grown, allowed,
               GREW if bad else FLAT)
