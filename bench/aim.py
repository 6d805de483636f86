# SPDX-License-Identifier: Apache-2.0
"""Aims of a bench: whether one was met, in digits that show it; how far the
rounds of a measurement lie apart; whether the machine was free for them."""

from statistics import median

NEAR = 0.05         # of the aim, below ten: a third digit is shown
FREE = 0.5          # of the processors: a load average above is somebody else's
SIGMA = 1.4826      # standard deviation from the median deviation
OF_MEDIAN = 1.2533  # standard error of a median to that of a mean


def shown(value, bound):
    """The value in as few digits as show on which side of the aim it is."""
    near = abs(value - bound) <= NEAR * bound < NEAR * 10
    digits = 3 if near else 2
    while digits < 9 and value != bound and round(value, digits) == bound:
        digits += 1
    return f"{value:.{digits}f}"


def verdict(what, value, bound, is_less, unit=""):
    if value is None:
        return what, "not measured", ""
    good = value <= bound if is_less else value >= bound
    return (what, f"{shown(value, bound)}{unit}",
            f"{'met' if good else 'MISSED'}: "
            f"{'at most' if is_less else 'at least'} {bound:g}{unit}")


def deviations(ratios):
    """How far each round's ratio is from their median, as a part of it."""
    usual = median(ratios)
    return [abs(ratio / usual - 1) for ratio in ratios]


def noise_line(cells, what, bound):
    """In words how far rounds lie apart; cells are the ratios of each cell's
    rounds."""
    cells = [ratios for ratios in cells if len(ratios) > 1]
    if not cells:
        return ("One round of each load does not show how much chance is in "
                "it.")
    found = [far for ratios in cells for far in deviations(ratios)]
    half = median(found)
    rounds = median(len(ratios) for ratios in cells)
    error = SIGMA * OF_MEDIAN * half / rounds ** 0.5
    return (f"Noise: the aim of {what} leaves {100 * abs(1 - bound):.0f} %. "
            f"Half of the rounds' own ratios are more than {100 * half:.1f} % "
            f"off the median of their load, one is {100 * max(found):.0f} % "
            f"off; a median of {rounds:.0f} rounds is good to about "
            f"{100 * error:.1f} %. An aim missed or met by less than that may "
            "be either in another run.")


def busy(host):
    """A sentence when the machine was not free at the start, or nothing."""
    if host["load"] <= FREE * host["cores"]:
        return ""
    return (f" WARNING: {host['load']:.1f} is above half of the "
            f"{host['cores']} processors: something else ran, and these are "
            "not the numbers of a machine that is free.")
