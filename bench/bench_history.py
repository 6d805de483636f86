# SPDX-License-Identifier: Apache-2.0
"""The headline ratios of every run, so that a later slip is seen.

A file of lines, date,commit,plan,machine and then a column for each ratio. A
new column goes to the end of the first line; the lines that are there stay as
they are, and lack it. What was not measured is empty.
"""

import csv
import datetime
import io
import os
from statistics import median

FIXED = ("date", "commit", "plan", "machine")
SLIP = 0.1


class Damaged(Exception):
    """Says file and line."""


def ratio_of(word):
    """A ratio as it is written here; None for one that was not measured."""
    if not word:
        return None
    value = float(word)
    if not 0 <= value < float("inf"):
        raise ValueError
    return value


def run_of(columns, words):
    """What one line says; ValueError tells what is wrong with it."""
    if not len(FIXED) <= len(words) <= len(columns):
        raise ValueError(f"{len(words)} fields, not {len(FIXED)} to "
                         f"{len(columns)}")
    run = dict(zip(columns, words))
    if not all(run[name] for name in FIXED):
        raise ValueError(f"one of {', '.join(FIXED)} is empty")
    try:
        datetime.datetime.fromisoformat(run["date"])
    except ValueError:
        raise ValueError(f"'{run['date']}' is no date") from None
    for name in columns[len(FIXED):]:
        try:
            run[name] = ratio_of(run.get(name, ""))
        except ValueError:
            raise ValueError(f"{name} is '{run[name]}', and no ratio") \
                from None
    return run


def head_of(words):
    if tuple(words[:len(FIXED)]) != FIXED:
        raise ValueError(f"does not begin with {','.join(FIXED)}")
    if not all(words) or len(set(words)) < len(words):
        raise ValueError("a column without a name of its own")
    return words


def lines_of(path):
    """The lines as they are; none if there is no file yet."""
    try:
        with open(path, encoding="utf-8", newline="\n") as f:
            lines = f.readlines()
    except FileNotFoundError:
        return []
    except UnicodeDecodeError as e:
        with open(path, "rb") as f:
            number = f.read()[:e.start].count(b"\n") + 1
        raise Damaged(f"{path}:{number}: no text") from None
    if not lines:
        raise Damaged(f"{path}:1: empty, where the names of columns belong")
    if not lines[-1].endswith("\n"):
        raise Damaged(f"{path}:{len(lines)}: breaks off")
    return lines


def read(path):
    """(columns, runs): a run has a word for each of FIXED, and a number or
    None for each other column."""
    columns, runs = list(FIXED), []
    for number, line in enumerate(lines_of(path), 1):
        try:
            words = next(csv.reader([line], strict=True), [])
            if number == 1:
                columns = head_of(words)
            else:
                runs.append(run_of(columns, words))
        except (ValueError, csv.Error) as e:
            raise Damaged(f"{path}:{number}: {e}") from None
    return columns, runs


def line_of(words):
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(words)
    return out.getvalue()


def add(path, about, headlines):
    """One line more, all of it or none; about has the words of FIXED."""
    columns, _ = read(path)
    columns += [h.name for h in headlines if h.name not in columns]
    words = dict(about)
    for headline in headlines:
        if headline.value is not None:
            words[headline.name] = f"{headline.value:.4g}"
    lines = [line_of(columns), *lines_of(path)[1:],
             line_of([words.get(name, "") for name in columns])]
    with open(path + ".new", "w", encoding="utf-8", newline="") as f:
        f.write("".join(lines))
    os.replace(path + ".new", path)


def alike(runs):
    """The runs that can be compared with the last one, and that one."""
    return [run for run in runs if runs and all(
        run[name] == runs[-1][name] for name in ("plan", "machine"))]


def slips(runs, headlines):
    """(headline, value, median of before) where the last run is worse by more
    than a tenth than the median of the runs before that are like it."""
    *before, last = alike(runs) or [{}]
    found = []
    for headline in headlines:
        value = last.get(headline.name)
        earlier = [run[headline.name] for run in before
                   if run.get(headline.name) is not None]
        if value is None or not earlier:
            continue
        usual = median(earlier)
        if (value > usual * (1 + SLIP) if headline.is_less
                else value < usual * (1 - SLIP)):
            found.append((headline, value, usual))
    return found
