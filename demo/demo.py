#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The demonstration: a shop on eight servers, to be killed one by one.

usage: demo.py --modules FOLDER [--play]

Everything runs on free loopback ports in a temporary folder, as the current
user, and ends with this program. --play kills and looks itself, prints what
it did and saw, and exits 1 when anything was lost or any request failed.
"""

import argparse
import os
import select
import shutil
import signal
import sys
import tempfile

from play import play
from site_servers import OURS, Site


def screen(site):
    """The one screen of text that opens the demonstration."""
    web1, web2 = site.webs
    print(f"""
  The shop that stays open

  Look at it in a browser, on either web server; the session is the same:

      {web1.url}    {web2.url}

  Log in, put something into the basket. Then kill any one server, in
  another terminal, and load the page again:
""")
    for server in site.servers:
        what = f"{server.role} {server.name}"
        print(f"      {server.kill_command():<22} # {what}")
    print(f"""
  Bring back what was killed: press Enter here, or  kill -USR1 {os.getpid()}
  One failure at a time: each session has two copies, so kill the second
  memcached only after the page says "2 of 2" again.
  Routing by hand: {web1.url}balancer-manager
  Logs: {site.folder}/web1  …/web2
  Stop everything: Ctrl-C
""", flush=True)


class Watch:
    """The interactive part: tells what died, brings it back when asked."""

    def __init__(self, site):
        self.site = site
        self.told = set()
        self.wake, self.poke = os.pipe()
        os.set_blocking(self.poke, False)
        signal.signal(signal.SIGUSR1, self.on_signal)
        self.inputs = [self.wake, sys.stdin]

    def on_signal(self, *args):
        os.write(self.poke, b"x")

    def asked(self):
        """Did somebody press Enter, or send the signal?"""
        ready = select.select(self.inputs, [], [], 0.3)[0]
        if self.wake in ready:
            os.read(self.wake, 100)
        if sys.stdin in ready and not os.read(sys.stdin.fileno(), 1000):
            self.inputs.remove(sys.stdin)      # closed: only the signal left
            ready.remove(sys.stdin)
        return bool(ready)

    def run(self):
        while True:
            bring_back = self.asked()
            dead = self.site.dead()
            for server in dead:
                if server not in self.told:
                    print(f"  {server.role} {server.name} is dead; load the "
                          f"page again. Enter brings it back.", flush=True)
                    self.told.add(server)
            if not bring_back:
                continue
            for server in dead:
                self.site.revive(server)
                self.told.discard(server)
                print(f"  {server.role} {server.name} is back:  "
                      f"{server.kill_command()}", flush=True)
            if not dead:
                print("  all servers run", flush=True)


def missing(folder):
    """The first module that is not there, or None."""
    paths = [os.path.join(folder, f"mod_{name}.so") for name in OURS]
    return next((p for p in paths if not os.path.exists(p)), None)


def interrupted(*args):
    raise KeyboardInterrupt


def in_folder(prefix, run, when_interrupted):
    """The exit status of run(folder); the folder goes when it is over."""
    # SIGINT, too: started behind "&" of a script, it would be ignored.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    folder = tempfile.mkdtemp(prefix=prefix)
    os.chmod(folder, 0o755)     # httpd started by root serves as another user
    try:
        return run(folder)
    except KeyboardInterrupt:
        print("\n  Everything is stopped and removed.")
        return when_interrupted
    except RuntimeError as e:
        print(f"demo: {e}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(
        description="a shop on eight servers, to be killed one by one")
    parser.add_argument("--modules", required=True, metavar="FOLDER",
                        help="where mod_session_ha.so and "
                             "mod_proxy_balancer_clone.so are")
    parser.add_argument("--play", action="store_true",
                        help="play the story and end with a verdict")
    options = parser.parse_args()
    if missing(options.modules):
        print(f"demo: {missing(options.modules)} is missing: run make",
              file=sys.stderr)
        return 1

    def run(folder):
        with Site(folder, options.modules) as site:
            if options.play:
                return play(site)
            screen(site)
            return Watch(site).run()

    return in_folder("session-ha-demo-", run, 130 if options.play else 0)


if __name__ == "__main__":
    sys.exit(main())
