#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
docs/tests.md names at least one test for each of P1 to P12 and for each row,
and every test it names exists.
"""
import re

from lintlib import Lint

INDEX = "docs/tests.md"
PROMISES = [f"P{n}" for n in range(1, 13)]


def existing(lint):
    names = set()
    for path in lint.files("tests/unit/test_*.c"):
        names.update(re.findall(r"START_TEST\((\w+)\)", lint.read(path)))
    for path in lint.files("tests/http/test_*.py"):
        names.update(re.findall(r"^def (test_\w+)", lint.read(path), re.M))
    return names


def main():
    lint = Lint("promises_have_tests")
    known = existing(lint)
    promised = []
    for number, line in enumerate(lint.read(INDEX).split("\n"), 1):
        cells = [cell.strip() for cell in line.strip().split("|")[1:-1]]
        if len(cells) != 2 or set(cells[0]) == {"-"} or cells[1] == "tests":
            continue
        promised += re.findall(r"^P\d+", cells[0])
        names = re.findall(r"`(\w+)`", cells[1])
        if not names:
            lint.fault(f"{INDEX}:{number}", f"'{cells[0]}' has no test")
        for name in names:
            lint.checked += 1
            if name not in known:
                lint.fault(f"{INDEX}:{number}", f"there is no test {name}")
    for promise in PROMISES:
        if promise not in promised:
            lint.fault(INDEX, f"{promise} has no row")
    lint.done()


if __name__ == "__main__":
    main()
