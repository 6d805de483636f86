#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Every header includes what it uses: it compiles as the only thing in a file,
with the flags of its ring.
"""
import os
import shlex
import subprocess

from lintlib import Lint

RINGS = {"src/core/": "CORE_FLAGS", "src/io/": "IO_FLAGS",
         "src/httpd/": "HTTPD_FLAGS", "tests/unit/": "TEST_FLAGS"}


def main():
    lint = Lint("headers_compile_alone")
    flags = lint.settings("obj/flags")
    for folder, ring in RINGS.items():
        for path in lint.files(folder + "*.h"):
            lint.checked += 1
            # Statics of a header may well be unused by a file of nothing.
            out = subprocess.run(
                [*shlex.split(flags["CC"]),
                 *(f for f in shlex.split(flags[ring])
                   if f not in ("-MMD", "-MP")),
                 "-O0", "-U_FORTIFY_SOURCE", "-Wno-unused-function",
                 "-fsyntax-only", "-x", "c", "-"],
                input=f'#include "{os.path.join(lint.root, path)}"\n'
                      "extern int translation_unit_is_not_empty;\n",
                capture_output=True, text=True, cwd=lint.root)
            if out.returncode != 0:
                lint.fault(path, "does not compile alone:\n" + out.stderr)
    lint.done()


if __name__ == "__main__":
    main()
