#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A log tag (HA0212, CR0107) stands for one message: it is used at one place,
has a line in src/httpd/log_tags.h, and an administrator finds it in README.
"""
import re

from lintlib import Lint

LIST = "src/httpd/log_tags.h"


def main():
    lint = Lint("tags_are_unique")
    used = {}
    for path in lint.files("mod_*.c", "src/*/*.c"):
        for number, line in enumerate(lint.read(path).split("\n"), 1):
            for kind, digits in re.findall(r"\b(HA|CR)LOG\((\w+)\)", line):
                used.setdefault(kind + digits, []).append(f"{path}:{number}")
    listed = re.findall(r"\b((?:HA|CR)\d+)\b", lint.read(LIST))
    readme = set(re.findall(r"\b((?:HA|CR)\d{4})\b", lint.read("README.md")))
    for tag, places in sorted(used.items()):
        lint.checked += 1
        if not re.fullmatch(r"(HA|CR)\d{4}", tag):
            lint.fault(places[0], f"{tag} is not a prefix and four digits")
        if len(places) > 1:
            lint.fault(tag, f"is used at {len(places)} places: {places}")
        if tag not in listed:
            lint.fault(places[0], f"{tag} has no line in {LIST}")
        if tag not in readme:
            lint.fault(places[0], f"{tag} is not in README.md")
    for tag in sorted(set(listed)):
        if listed.count(tag) > 1:
            lint.fault(LIST, f"{tag} is listed twice")
    for tag in sorted(readme - set(used)):
        lint.fault("README.md", f"{tag} is never logged")
    lint.done()


if __name__ == "__main__":
    main()
