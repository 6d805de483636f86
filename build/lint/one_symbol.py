#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A module exports its record and nothing else, and wants nothing that httpd,
the stock module it stands on, or a library it names does not have: a misspelt
function would otherwise be found by the first request that needs it.
"""
import os
import re
import subprocess

from lintlib import Lint

# The stock module that must be loaded before; conf.d says so with "Depends".
MODULES = {
    "mod_session_ha.so": ("session_ha_module", "mod_session.so"),
    "mod_proxy_balancer_clone.so": ("proxy_balancer_clone_module",
                                    "mod_proxy.so"),
}
# What compilers and sanitizers add for themselves.
COMPILERS = re.compile(r"^_*(asan|ubsan|tsan|sanitizer|cxa)_|^_ITM_"
                       r"|^__gmon_start__$")


def nm(path, option):
    out = subprocess.run(["nm", "-D", option, path], check=True,
                         capture_output=True, text=True).stdout
    pairs = (line.split()[-2:] for line in out.splitlines())
    return [(kind, name.split("@")[0]) for kind, name in pairs]


def defined(path):
    names = nm(path, "--defined-only")
    return {name for kind, name in names if kind != "A"}


def libraries(path):
    out = subprocess.run(["ldd", path], check=True, capture_output=True,
                         text=True).stdout
    return set(re.findall(r"(/\S+\.so\S*)", out))


def main():
    lint = Lint("one_symbol")
    config = lint.settings("config.mk")
    for name, (symbol, beside) in sorted(MODULES.items()):
        path = os.path.join(lint.out, "modules", name)
        # The build asks for the one it just linked, before it is in place.
        linked = os.environ.get("LINKED")
        if linked:
            if os.path.basename(linked) != name:
                continue
            path = linked
        if not os.path.exists(path):
            lint.fault(name, "is not built")
            continue
        lint.checked += 1
        exported = sorted(defined(path))
        if exported != [symbol]:
            lint.fault(name, f"exports {exported}, not just {symbol}")
        known = defined(config["HTTPD"])
        needed = libraries(config["HTTPD"]) | libraries(path)
        needed.add(os.path.join(config["LIBEXECDIR"], beside))
        for library in needed:
            if os.path.isfile(library):
                known |= defined(library)
        for kind, wanted in nm(path, "--undefined-only"):
            if kind == "U" and wanted not in known and \
                    not COMPILERS.match(wanted):
                lint.fault(name, f"calls {wanted}(), which nothing has")
    lint.done()


if __name__ == "__main__":
    main()
