# SPDX-License-Identifier: Apache-2.0
"""What was measured with: asked of the programs themselves."""

import glob
import os
import re
import shutil
import sqlite3
import subprocess

import rivals
from httpd import httpd_binary

# title, words of the question, which of the answer is the version
ASKED = (
    ("httpd", (httpd_binary, "-v"), r"Apache/(\S+)"),
    ("libmemcached", ("pkg-config", "--modversion", "libmemcached"), r"(\S+)"),
    ("memcached", ("memcached", "-V"), r"memcached (\S+)"),
    ("PostgreSQL", ("/usr/lib/postgresql/*/bin/postgres", "--version"),
     r"\(PostgreSQL\) (\S+)"),
    ("PHP", ("/usr/sbin/php-fpm*", "-v"), r"PHP (\S+)"),
    ("php-memcached", ("/usr/sbin/php-fpm*", "-i"),
     r"memcached support => enabled\nVersion => (\S+)"),
    ("HAProxy", ("haproxy", "-v"), r"version (\S+)"),
    ("nginx", ("nginx", "-v"), r"nginx/(\S+)"))


def find(program):
    """The path of a program that is found by name, pattern or asking."""
    if callable(program):
        return program()
    if "*" in program:
        return (sorted(glob.glob(program)) or [None])[-1]
    return shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin")


def ask(words, pattern):
    program = find(words[0])
    if not program:
        return "not found"
    try:
        said = subprocess.run([program, *words[1:]], text=True, timeout=20,
                              stdout=subprocess.PIPE, check=False,
                              stderr=subprocess.STDOUT).stdout
    except (OSError, subprocess.TimeoutExpired) as e:
        return f"not known: {e}"
    found = re.search(pattern, said)
    return found[1] if found else f"not known: {said.strip()[:60]}"


def commit():
    """Of this tree, with a + where it was changed since."""
    def git(*words):
        return subprocess.run(["git", "-C", rivals.ROOT, *words], text=True,
                              stdout=subprocess.PIPE, check=True,
                              stderr=subprocess.DEVNULL).stdout.strip()
    try:
        changed = git("status", "--porcelain", "--", ".",
                      ":!bench/history.csv")
        return git("rev-parse", "--short", "HEAD") + "+" * bool(changed)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def versions():
    """(what, version) of ours and of all that it was compared with."""
    return [("mod_session_ha, mod_proxy_balancer_clone", commit()),
            *((title, ask(words, pattern))
              for title, words, pattern in ASKED),
            ("SQLite", sqlite3.sqlite_version)]
