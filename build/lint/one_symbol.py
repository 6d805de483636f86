#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A module exports its record and nothing else, and wants nothing that httpd,
mod_proxy, mod_session or a library it names does not have: a misspelt
function would otherwise be found by the first request.

    one_symbol.py FILE=SYMBOL... --httpd BINARY --modules FOLDER
"""
import argparse
import os
import re
import subprocess
import sys

# What is expected to be loaded before: conf.d says so with "Depends".
BESIDE = {
    "session_ha_module": ["mod_session.so"],
    "proxy_balancer_clone_module": ["mod_proxy.so"],
}
# What the compiler adds for itself.
COMPILERS = re.compile(r"^_?_(asan|ubsan|tsan|sanitizer|gmon_start|cxa)_"
                       r"|^_ITM_|^__gmon_start__$|^_?_?gcov")


def nm(path, *options):
    out = subprocess.run(["nm", "-D", *options, path], check=True,
                         capture_output=True, text=True).stdout
    names = []
    for line in out.splitlines():
        kind, name = line.split()[-2:]
        names.append((kind, name.split("@")[0]))
    return names


def defined(path):
    return {name for kind, name in nm(path, "--defined-only") if kind != "A"}


def libraries(path):
    out = subprocess.run(["ldd", path], check=True, capture_output=True,
                         text=True).stdout
    return set(re.findall(r"(/\S+\.so\S*)", out))


def faults_of(path, symbol, httpd, modules):
    if not os.path.isfile(path):
        return ["not built"]
    faults = []
    exported = sorted(defined(path))
    if exported != [symbol]:
        faults.append(f"exports {exported}, not just {symbol}")
    known = defined(httpd)
    paths = libraries(httpd) | libraries(path)
    paths |= {os.path.join(modules, m) for m in BESIDE.get(symbol, [])}
    for library in paths:
        if os.path.isfile(library):
            known |= defined(library)
    for kind, name in nm(path, "--undefined-only"):
        if kind == "U" and name not in known and not COMPILERS.match(name):
            faults.append(f"calls {name}(), which nothing it needs has")
    return faults


def main():
    ask = argparse.ArgumentParser()
    ask.add_argument("module", nargs="+")
    ask.add_argument("--httpd", required=True)
    ask.add_argument("--modules", required=True)
    args = ask.parse_args()
    failed = 0
    for pair in args.module:
        path, symbol = pair.rsplit("=", 1)
        for fault in faults_of(path, symbol, args.httpd, args.modules):
            print(f"{path}: {fault}", file=sys.stderr)
            failed += 1
    print(f"one_symbol: {len(args.module)} checked")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
