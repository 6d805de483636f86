#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A log tag (HA0212, CR0107) stands for one message: it is used at one place,
has a line in src/httpd/log_tags.h, and an administrator finds it in README.
"""
import re

from lintlib import Lint

LIST = "src/httpd/log_tags.h"


SECTIONS = {"mod_session_ha": "HA", "mod_proxy_balancer_clone": "CR"}
LEVELS = {"ERR": "error"}


def listed_tags(lint):
    """{"HA0101": "crit", ...}: a section for each module, a line a tag."""
    found = {}
    kind = None
    for line in lint.read(LIST).split("\n"):
        text = line.strip(" */")
        kind = SECTIONS.get(text, kind)
        entry = re.match(r"(\d{4}) +(\w+) +\S", text)
        if kind and entry:
            tag = kind + entry.group(1)
            if tag in found:
                lint.fault(LIST, f"{tag} is listed twice")
            found[tag] = entry.group(2)
    return found


def used_tags(lint):
    """{"HA0101": [(place, level), ...], ...}"""
    found = {}
    for path in lint.files("mod_*.c", "src/*/*.c"):
        text = lint.read(path)
        for use in re.finditer(r"\b(HA|CR)LOG\((\w+)\)", text):
            place = f"{path}:{text.count(chr(10), 0, use.start()) + 1}"
            levels = re.findall(
                r"APLOG_(CRIT|ERR|WARNING|NOTICE|INFO|DEBUG|TRACE\d)\b",
                text[max(0, use.start() - 300):use.start()])
            word = levels[-1] if levels else "?"
            found.setdefault("".join(use.groups()), []).append(
                (place, LEVELS.get(word, word.lower())))
    return found


def main():
    lint = Lint("tags_are_unique")
    used = used_tags(lint)
    listed = listed_tags(lint)
    readme = set(re.findall(r"\b((?:HA|CR)\d{4})\b", lint.read("README.md")))
    for tag, places in sorted(used.items()):
        lint.checked += 1
        place, level = places[0]
        if not re.fullmatch(r"(HA|CR)\d{4}", tag):
            lint.fault(place, f"{tag} is not a prefix and four digits")
        if len(places) > 1:
            lint.fault(tag, f"is used at {len(places)} places: {places}")
        if tag not in listed:
            lint.fault(place, f"{tag} has no line in {LIST}")
        elif listed[tag] != level:
            lint.fault(place, f"{tag} is {level}, {LIST} says {listed[tag]}")
        if tag not in readme:
            lint.fault(place, f"{tag} is not in README.md")
    for tag in sorted(readme - set(used)):
        lint.fault("README.md", f"{tag} is never logged")
    lint.done()


if __name__ == "__main__":
    main()
