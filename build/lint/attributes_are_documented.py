#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The page for users of the WebSphere plug-in names each element and attribute
of plugin-cfg.xml that the router knows: what it becomes, or that it has no
effect.
"""
import re

from lintlib import Lint

PAGE = "docs/migrate-websphere.md"
READERS = ("src/core/clone_plugin.c", "src/core/clone_group.c",
           "src/core/clone_cluster.c")
IN_EVERY_ELEMENT = {"Name", "Value"}


def known(text):
    names = set(re.findall(r'\{ "(\w+)",\s+CLONE_ATTRIBUTE_', text))
    names |= set(re.findall(r'clone_xml_is_named\(\w+,\s+"(\w+)"\)', text))
    for names_of in re.findall(
            r"static const char \*const (?:elsewhere|ignored)\[\] = \{(.*?)\}",
            text, re.S):
        names |= set(re.findall(r'"(\w+)"', names_of))
    return names - IN_EVERY_ELEMENT


def main():
    lint = Lint("attributes_are_documented")
    words = {word for quoted in re.findall(r"`([^`\n]+)`", lint.read(PAGE))
             for word in quoted.split()}
    for path in READERS:
        names = known(lint.read(path))
        if not names:
            lint.fault(path, "no element or attribute was found in it")
        for name in sorted(names):
            lint.checked += 1
            if name not in words:
                lint.fault(path, f"{PAGE} does not name {name}")
    lint.done()


if __name__ == "__main__":
    main()
