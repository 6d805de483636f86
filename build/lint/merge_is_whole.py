#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Every member of a settings record is merged, and the unit test has a row for
it: a member that merge forgets is a directive that works in the main server
and is silently lost in a virtual host.
"""
import os
import re

from lintlib import Lint, c_functions, strip_c


def records(header):
    """{"clone_conf": ["routing", "profile"], ...}"""
    found = {}
    for name, body in re.findall(
            r"typedef\s+struct\s+(\w+)_t\s*\{(.*?)\}\s*\w+_t\s*;",
            strip_c(header), re.S):
        found[name] = re.findall(r"(\w+)\s*(?:\[[^\]]*\]\s*)*;", body)
    return found


def with_callees(name, bodies):
    """The text of a function and of those of its file that it calls."""
    text, todo, seen = "", [name], set()
    while todo:
        at = todo.pop()
        if at in seen or at not in bodies:
            continue
        seen.add(at)
        text += bodies[at]
        todo += re.findall(r"(\w+)\s*\(", bodies[at])
    return text


def main():
    lint = Lint("merge_is_whole")
    for header in lint.files("src/core/*_conf.h"):
        source = header[:-2] + ".c"
        test = f"tests/unit/test_{os.path.basename(source)}"
        bodies = {name: body for name, _, _, body
                  in c_functions(lint.read(source))}
        rows = strip_c(lint.read(test))
        merged = 0
        for record, members in records(lint.read(header)).items():
            merge = with_callees(record + "_merge", bodies)
            if not merge:
                continue
            merged += 1
            for member in members:
                lint.checked += 1
                if not re.search(rf"(->|\.){member}\b", merge):
                    lint.fault(source, f"{record}_merge() forgets {member}")
                if not re.search(rf"\b{member}\b", rows):
                    lint.fault(test, f"has no row for {record}_t.{member}")
        if merged == 0:
            lint.fault(header, "has no record with a merge function")
    lint.done()


if __name__ == "__main__":
    main()
