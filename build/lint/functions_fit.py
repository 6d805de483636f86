#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A function fits on one screen, a line in 80 columns, a file in one sitting;
braces, indentation and comments are as everywhere else here.
"""
import re

from lintlib import Lint, c_functions, strip_c

FUNCTION_LINES = 60
FILE_LINES = 600
MODULE_LINES = 300
COLUMNS = 80


def check_lines(lint, path, text):
    for number, line in enumerate(text.split("\n"), 1):
        where = f"{path}:{number}"
        if len(line) > COLUMNS:
            lint.fault(where, f"{len(line)} columns")
        if line != line.rstrip():
            lint.fault(where, "white space at the end")
        if "\t" in line and not path.endswith((".mk", "Makefile")):
            lint.fault(where, "a tab")


def check_style(lint, path, text):
    for number, line in enumerate(strip_c(text).split("\n"), 1):
        where = f"{path}:{number}"
        if "//" in line:
            lint.fault(where, "a // comment")
        if re.search(r"\}\s*else\b", line):
            lint.fault(where, "else on the line of a brace")
        # A definition's brace is on its own line.
        if re.match(r"(?!typedef|struct|union|enum|static const|extern)"
                    r"[A-Za-z_][\w\s*]*\([^;=]*\)\s*\{\s*$", line):
            lint.fault(where, "a function's brace is not on its own line")


def main():
    lint = Lint("functions_fit")
    for path in lint.files("mod_*.c", "src/*/*.[ch]", "tools/*.[ch]",
                           "tests/*/*.[ch]",
                           "tests/http/*.py", "demo/*.py", "bench/*.py",
                           "tools/*/*.py",
                           "build/*.*", "build/lint/*.py"):
        text = lint.read(path)
        lint.checked += 1
        check_lines(lint, path, text)
        length = text.count("\n")
        limit = MODULE_LINES if path.startswith("mod_") else FILE_LINES
        if length > limit:
            lint.fault(path, f"{length} lines")
        if not path.endswith((".c", ".h")):
            continue
        check_style(lint, path, text)
        if path.startswith("tests/"):
            continue
        for name, first, last, _ in c_functions(text):
            lint.checked += 1
            if last - first - 1 > FUNCTION_LINES:
                lint.fault(f"{path}:{first}",
                           f"{name}() has {last - first - 1} lines")
    lint.done()


if __name__ == "__main__":
    main()
