#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The core has no clock, socket, file, randomness or global: it includes APR,
libcrypto, the C library's pure headers and its own, its objects call nothing
that would fetch one of these, and they hold no writable data.
"""
import os
import re
import subprocess

from lintlib import Lint

HEADERS = re.compile(
    r"^(apr(?!_(network_io|file_io|file_info|poll|thread\w*|proc_mutex"
    r"|global_mutex|random|signal|shm|user|env|dso|portable))\w*\.h"
    r"|apu\w*\.h|openssl/(?!rand)\w+\.h"
    r"|(assert|ctype|errno|float|limits|math|stdarg|stddef|stdint|stdio"
    r"|stdlib|string)\.h)$")
IMPURE = re.compile(
    r"^(ap_|proxy_|memcached_"
    r"|apr_(time_now|sleep|socket|sockaddr|file|dir|stat|poll|random"
    r"|generate_random|thread|proc|shm|env|os_|pool_create|uuid)"
    r"|(time|clock|clock_gettime|gettimeofday|localtime\w*|gmtime|mktime"
    r"|nanosleep|usleep|sleep|socket|connect|bind|send\w*|recv\w*|poll"
    r"|select|open\w*|creat|f?read|f?write|fopen\w*|f?printf|puts|fputs"
    r"|__f?printf_chk|rand\w*|s?random\w*|.rand48|getrandom|getentropy"
    r"|getenv|getpid|pthread_\w+|malloc|calloc|realloc|strtok|exit"
    r"|RAND_\w+)$)")
WRITABLE = re.compile(r"\s(\.data|\.bss|\.tdata|\.tbss|\*COM\*)\s")


def check_includes(lint, path):
    for name in re.findall(r"^\s*#\s*include\s+[<\"]([^>\"]+)",
                           lint.read(path), re.M):
        own = os.path.join(lint.root, "src/core", name)
        if not os.path.isfile(own) and not HEADERS.match(name):
            lint.fault(path, f"includes {name}")


def check_object(lint, path):
    obj = os.path.join(lint.out, "obj", path[:-2] + ".o")
    if not os.path.exists(obj):
        lint.fault(path, "is not compiled")
        return
    out = subprocess.run(["nm", "-u", obj], check=True, capture_output=True,
                         text=True).stdout
    for name in (line.split()[-1] for line in out.splitlines()):
        if IMPURE.match(name):
            lint.fault(path, f"calls {name}()")
    out = subprocess.run(["objdump", "-t", obj], check=True,
                         capture_output=True, text=True).stdout
    for line in out.splitlines():
        if WRITABLE.search(line) and " O " in line or "*COM*" in line:
            lint.fault(path, f"has a global, {line.split()[-1]}")


def main():
    lint = Lint("core_is_pure")
    for path in lint.files("src/core/*.[ch]"):
        lint.checked += 1
        check_includes(lint, path)
        if path.endswith(".c"):
            check_object(lint, path)
    lint.done()


if __name__ == "__main__":
    main()
