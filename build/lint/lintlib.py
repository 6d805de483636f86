# SPDX-License-Identifier: Apache-2.0
"""
What the lint programs share: where to look, and how to end.

Each program is called `name.py [--root FOLDER] [--out FOLDER]`, prints a line
for each fault and last "name: N checked", and fails when there was a fault or
when it found nothing to check.
"""
import argparse
import glob
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))


class Lint:
    def __init__(self, name):
        ask = argparse.ArgumentParser()
        ask.add_argument("--root", default=TOP)
        ask.add_argument("--out", default=os.path.join(TOP, "out"))
        args = ask.parse_args()
        self.name = name
        self.root = os.path.abspath(args.root)
        self.out = os.path.abspath(args.out)
        self.faults = 0
        self.checked = 0

    def files(self, *patterns):
        """Paths below root, sorted, relative."""
        found = set()
        for pattern in patterns:
            found.update(glob.glob(os.path.join(self.root, pattern)))
        return sorted(os.path.relpath(path, self.root) for path in found)

    def sources(self):
        """Every file that is in git or could be added to it."""
        out = subprocess.run(
            ["git", "-C", self.root, "ls-files", "-z", "--cached", "--others",
             "--exclude-standard"], capture_output=True, text=True)
        if out.returncode == 0:
            names = out.stdout.split("\0")
        else:
            names = [os.path.relpath(os.path.join(folder, name), self.root)
                     for folder, _, names in os.walk(self.root)
                     for name in names]
        return sorted(n for n in set(names)
                      if n and os.path.isfile(os.path.join(self.root, n)))

    def read(self, path):
        full = os.path.join(self.root, path)
        if not os.path.exists(full):
            return ""
        with open(full, encoding="utf-8", errors="replace") as file:
            return file.read()

    def settings(self, name):
        """NAME := value lines of a file in the output folder."""
        with open(os.path.join(self.out, name), encoding="utf-8") as file:
            return dict(re.findall(r"^(\w+) := *(.*?) *$", file.read(), re.M))

    def fault(self, where, what):
        print(f"{where}: {what}")
        self.faults += 1

    def done(self):
        if self.checked == 0:
            self.fault(self.name, "found nothing to check")
        print(f"{self.name}: {self.checked} checked")
        sys.exit(1 if self.faults else 0)


def strip_c(text):
    """C without comments and strings, line numbers kept."""
    def blank(match):
        token = match.group(0)
        return "\n" * token.count("\n") if token.startswith("/*") else '""'
    return re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'',
                  blank, text, flags=re.S)


def c_functions(text):
    """(name, first line, last line, body) of every function definition."""
    lines = strip_c(text).split("\n")
    found = []
    start = None
    for number, line in enumerate(lines):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            head = " ".join(lines[max(0, start - 8):start])
            names = re.findall(r"(\w+)\s*\(", head.rsplit(";", 1)[-1]
                               .rsplit("}", 1)[-1])
            names = [n for n in names if n not in ("__attribute__",)]
            if names:
                found.append((names[0], start + 1, number + 1,
                              "\n".join(lines[start:number])))
            start = None
    return found
