#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Every core file has a unit test, every START_TEST is added to a case, every
case to a suite, and pytest collects every test function of tests/http.
"""
import os
import re
import subprocess
import sys

from lintlib import Lint, strip_c


def check_unit(lint):
    for path in lint.files("src/core/*.c"):
        test = f"tests/unit/test_{os.path.basename(path)}"
        lint.checked += 1
        if not os.path.exists(os.path.join(lint.root, test)):
            lint.fault(path, f"has no {test}")
    for path in lint.files("tests/unit/test_*.c"):
        text = strip_c(lint.read(path))
        names = re.findall(r"START_TEST\((\w+)\)", text)
        if not names:
            lint.fault(path, "has no test")
        for name in names:
            lint.checked += 1
            if not re.search(rf"tcase_add_\w+\s*\([^;]*\b{name}\b", text):
                lint.fault(path, f"{name} is added to no case")
        for name in set(re.findall(r"(\w+)\s*=\s*tcase_create", text)):
            created = len(re.findall(rf"\b{name}\s*=\s*tcase_create", text))
            added = len(re.findall(
                rf"suite_add_tcase\s*\([^;]*\b{name}\b", text))
            if added < created:
                lint.fault(path, f"a case ({name}) is added to no suite")


def check_http(lint):
    files = lint.files("tests/http/test_*.py")
    if not files:
        return
    out = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p",
         "no:cacheprovider", os.path.join(lint.root, "tests/http")],
        capture_output=True, text=True, cwd=lint.root)
    if out.returncode != 0:
        lint.fault("tests/http", "pytest cannot collect:\n" + out.stdout)
    collected = set(re.findall(r"(\w+\.py)(?:::\w+)*?::(\w+)", out.stdout))
    for path in files:
        names = re.findall(r"^\s*(?:async )?def (test_\w+)", lint.read(path),
                           re.M)
        if not names:
            lint.fault(path, "has no test")
        for name in names:
            lint.checked += 1
            if (os.path.basename(path), name) not in collected:
                lint.fault(path, f"{name} is not collected")
        for name in {n for n in names if names.count(n) > 1}:
            lint.fault(path, f"{name} is there twice, one is never run")
        if re.search(r"pytest\.(skip|importorskip|xfail)"
                     r"|mark\.(skip|skipif|xfail)", lint.read(path)):
            lint.fault(path, "skips")


def main():
    lint = Lint("tests_are_run")
    check_unit(lint)
    check_http(lint)
    lint.done()


if __name__ == "__main__":
    main()
