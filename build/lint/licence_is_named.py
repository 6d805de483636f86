#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Every source says its licence in its first lines, LICENSE is the whole text,
and no build product is in git.
"""
import re

from lintlib import Lint

SOURCE = re.compile(r"\.(c|h|py|sh|mk|conf|css|html|jsp|java)$"
                    r"|(^|/)Makefile$|^\.ci/run$")
PRODUCT = re.compile(r"\.(o|so|a|lo|la|d|pyc|class|jar|log|gcda|gcno)$"
                     r"|(^|/)__pycache__/|^out[-/]")
LINE = "SPDX-License-Identifier: Apache-2.0"


def main():
    lint = Lint("licence_is_named")
    for path in lint.sources():
        if PRODUCT.search(path):
            lint.fault(path, "is a build product")
        if SOURCE.search(path):
            lint.checked += 1
            if LINE not in "\n".join(lint.read(path).split("\n")[:3]):
                lint.fault(path, "does not name its licence at its top")
    if "END OF TERMS AND CONDITIONS" not in lint.read("LICENSE"):
        lint.fault("LICENSE", "is not the whole Apache License 2.0")
    lint.done()


if __name__ == "__main__":
    main()
