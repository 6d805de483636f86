#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Both benches in one go, on one page.

usage: bench.py [--plan usual|quick|full] [--tools out/bench]
                [--history bench/history.csv] [--write-doc]

session_bench.py and router_bench.py run one after the other and leave what
they always do. Then report.html is written to the folder of the tools, and the
history grows by a line with the headline ratios (bench_history.py). A history
that cannot be read stops this before anything is measured; with --write-doc
both pages of docs are written, too. Nothing else should run the while. MODULES,
HTTPD and APXS as for the tests.
"""

import argparse
import datetime
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bench_history                                          # noqa: E402
import bench_report                                           # noqa: E402
import report                                                 # noqa: E402
import rivals                                                 # noqa: E402
import router_bench                                           # noqa: E402
import session_bench                                          # noqa: E402
import versions                                               # noqa: E402


def parse(argv):
    ask = argparse.ArgumentParser()
    ask.add_argument("--plan", choices=sorted(session_bench.PLANS),
                     default="usual")
    ask.add_argument("--tools", default=os.path.join(rivals.ROOT, "out",
                                                     "bench"))
    ask.add_argument("--history", default=os.path.join(rivals.ROOT, "bench",
                                                       "history.csv"))
    ask.add_argument("--write-doc", action="store_true")
    return ask.parse_args(argv)


def keep(session, router, args):
    """The line and the page of what was found."""
    now = datetime.datetime.now(datetime.timezone.utc)
    about = {"date": now.strftime("%Y-%m-%d %H:%M"),
             "commit": versions.commit(), "plan": args.plan,
             "machine": bench_report.machine_name(session.host)}
    bench_history.add(args.history, about,
                      bench_report.headlines(session, router))
    _, runs = bench_history.read(args.history)
    found = bench_report.Found(session, router, about, versions.versions(),
                               runs)
    report.put(args.tools, "report.html", bench_report.page(found))
    return found


def main(argv=None):
    args = parse(argv)
    try:
        bench_history.read(args.history)
        words = ["--plan", args.plan, "--tools", args.tools]
        words += ["--write-doc"] if args.write_doc else []
        session = session_bench.bench(words)
        router = router_bench.bench(words, session.host)
        found = keep(session, router, args)
    except bench_history.Damaged as e:
        print(f"error: {e}", file=sys.stderr)
        return 1
    print(f"\n{bench_report.text(found)}\n"
          f"{os.path.join(args.tools, 'report.html')}, {args.history}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
