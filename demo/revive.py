# SPDX-License-Identifier: Apache-2.0
"""Asks drill.py to start one of its servers again: revive.py SOCKET NAME.

A server that drill.py starts ends with it, whatever happens to the drill.
"""

import socket
import sys


def main():
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(sys.argv[1])
        s.sendall(sys.argv[2].encode() + b"\n")
        said = s.makefile().readline().strip()
    if said != "ok":
        print(said or "no answer")
    return 0 if said == "ok" else 1


if __name__ == "__main__":
    sys.exit(main())
