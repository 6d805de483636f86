#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Nothing here depends on the machine it was written on: no home or working
folder of somebody, no host that packages were fetched from.
"""
import re

from lintlib import Lint

# In pieces, so that this file does not find itself.
FORBIDDEN = [
    r"(?<![\w.])/(?:wor" r"k|hom" r"e|roo" r"t|Use" r"rs)/",
    r"/var/tm" r"p/",
    r"deb\.debi" r"an\.org|archive\.ubun" r"tu|registry\.np" r"mjs"
    r"|pyp" r"i\.org|artifactreg" r"istry|\.pkg\.d" r"ev",
]


def main():
    lint = Lint("no_machine_paths")
    for path in lint.sources():
        if path == "LICENSE" or path.startswith("tests/fuzz/corpus/"):
            continue
        text = lint.read(path)
        lint.checked += 1
        for pattern in FORBIDDEN:
            for found in re.finditer(pattern, text):
                line = text.count("\n", 0, found.start()) + 1
                lint.fault(f"{path}:{line}", f"names {found.group(0)}")
    lint.done()


if __name__ == "__main__":
    main()
