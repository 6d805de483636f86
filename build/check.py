#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Runs test stages and adds them up. The last line is "N passed, N failed".

    check.py [--out FOLDER] STAGE...

A stage that ran nothing has failed, and so has a test that was skipped. The
whole output of each stage is in FOLDER/check/; of what failed it is printed.
"""
import argparse
import glob
import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as xml
from concurrent.futures import ThreadPoolExecutor

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SLOWEST = 5
# How long faults are played, in the tests of HTTP and elsewhere: histories, and
# clones that are killed before routers.
HISTORY = "60"
HISTORY_AGAIN = "20"
DRILL = "60"
ROUTER_AGAIN = "6"
# Histories of each shape where each takes ten times as long: what sanitizers
# and valgrind look for, the first ones show.
FEW_HISTORIES = {"HA_HISTORY_COUNT": "10"}
# Unit programs to begin with, so that the last one is a short one.
SLOW_FIRST = ("test_ha_history", "test_ha_image", "test_ha_place")


class Stage:
    """Counts of one stage, and its lines on the terminal."""

    def __init__(self, name, out):
        self.name = name
        self.passed = 0
        self.failed = 0
        self.begun = time.monotonic()
        self.folder = os.path.join(out, "check")
        os.makedirs(self.folder, exist_ok=True)
        print(f"== {name}", flush=True)

    def add(self, what, passed, failed, text="", seconds=None):
        self.passed += passed
        self.failed += failed
        took = "" if seconds is None else f"  {seconds:.1f} s"
        word = "FAILED" if failed else "ok"
        print(f"  {word:<6} {what:<40} {passed + failed:>5}{took}",
              flush=True)
        if failed:
            print("\n".join("         " + line for line
                            in text.strip().split("\n")[-60:]), flush=True)

    def end(self):
        if self.passed + self.failed == 0:
            self.add("this stage ran nothing", 0, 1)
        print(f"   {self.name}: {self.passed} passed, {self.failed} failed, "
              f"{time.monotonic() - self.begun:.0f} s", flush=True)
        return self.passed, self.failed


def run(command, timeout, log=None, **kw):
    """(exit status, output, seconds); the whole group ends at the timeout."""
    begun = time.monotonic()
    with subprocess.Popen(command, cwd=TOP, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          start_new_session=True, **kw) as process:
        try:
            raw, _ = process.communicate(timeout=timeout)
            status = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                raw, _ = process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raw, _ = process.communicate()
            raw += f"\nstopped after {timeout} s".encode()
            status = -1
    text = raw.decode(errors="replace")
    if log:
        with open(log, "w", encoding="utf-8") as file:
            file.write(text)
    return status, text, time.monotonic() - begun


# ---- unit programs ----------------------------------------------------------

def check_counts(status, text):
    """(passed, failed) of a libcheck program; a crash is one failure."""
    found = re.search(r"Checks: (\d+), Failures: (\d+), Errors: (\d+)", text)
    if not found:
        return 0, 1
    checks, failures, errors = map(int, found.groups())
    failed = failures + errors
    if checks == 0 or (status != 0 and failed == 0):
        failed = max(failed, 1)
    return checks - min(failed, checks), failed


def stage_unit(args, wrap=(), env=None, name="unit", timeout=300):
    stage = Stage(name, args.out)
    programs = sorted(
        os.path.basename(path)[:-2]
        for path in glob.glob(os.path.join(TOP, "tests/unit/test_*.c")))
    programs.sort(key=lambda p: p not in SLOW_FIRST)
    # libcheck gives a test four seconds, which a busy machine may not have.
    patience = {"CK_TIMEOUT_MULTIPLIER": "10"}

    def one(program):
        log = os.path.join(stage.folder, f"{name}-{program}.log".replace(
            " ", "-"))
        return program, run([*wrap, os.path.join(args.out, "tests", program)],
                            timeout, log, env={**patience, **os.environ,
                                               **(env or {})})

    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        for program, (status, text, seconds) in pool.map(one, programs):
            passed, failed = check_counts(status, text)
            stage.add(program, passed, failed, text, seconds)
    return stage.end()


# ---- fuzz seeds -------------------------------------------------------------

def stage_fuzz(args, env=None, name="fuzz seeds"):
    stage = Stage(name, args.out)
    for source in sorted(glob.glob(os.path.join(TOP, "tests/fuzz/fuzz_*.c"))):
        parser = os.path.basename(source)[len("fuzz_"):-2]
        seeds = sorted(glob.glob(os.path.join(
            TOP, "tests/fuzz/corpus", parser, "*")))
        program = os.path.join(args.out, "fuzz", "fuzz_" + parser)
        if not seeds:
            stage.add(parser, 0, 1, "no seed in its corpus")
            continue
        status, text, seconds = run([program, *seeds], 120, env={
            **os.environ, **(env or {})})
        if status == 0:
            stage.add(parser, len(seeds), 0, seconds=seconds)
            continue
        # Find out which: each alone.
        bad = [seed for seed in seeds if run([program, seed], 30)[0] != 0]
        stage.add(parser, len(seeds) - len(bad), max(1, len(bad)),
                  text + "\n" + "\n".join(bad))
    return stage.end()


# ---- lint -------------------------------------------------------------------

def stage_lint(args):
    stage = Stage("lint", args.out)
    folder = os.path.join(TOP, "build/lint")
    programs = sorted(name for name in os.listdir(folder)
                      if name.endswith(".py") and
                      name not in ("lintlib.py", "selftest.py"))
    for name in programs:
        status, text, seconds = run(
            [sys.executable, os.path.join(folder, name), "--out", args.out],
            300)
        found = re.search(r"^\w+: (\d+) checked$", text, re.M)
        good = status == 0 and found and int(found.group(1)) > 0
        stage.add(name[:-3], int(bool(good)), int(not good), text, seconds)
    status, text, seconds = run([sys.executable,
                                 os.path.join(folder, "selftest.py"),
                                 "--out", args.out], 300)
    found = re.search(r"^(\d+) passed, (\d+) failed$", text, re.M)
    passed, failed = map(int, found.groups()) if found else (0, 1)
    stage.add("every lint sees a planted fault", passed,
              failed if status == 0 else max(failed, 1), text, seconds)
    return stage.end()


# ---- HTTP -------------------------------------------------------------------

def junit_counts(path):
    """(passed, failed, tests by time); what was skipped has failed."""
    if not os.path.exists(path):
        return 0, 1, []
    passed = failed = 0
    times = []
    cases = {}
    for case in xml.parse(path).getroot().iter("testcase"):
        key = (case.get("classname"), case.get("name"))
        bad = any(child.tag in ("failure", "error", "skipped")
                  for child in case)
        # One that failed and then could not be cleaned up is there twice.
        cases[key] = cases.get(key, False) or bad
        times.append((float(case.get("time") or 0), case.get("name")))
    for bad in cases.values():
        failed += bad
        passed += not bad
    return passed, failed, sorted(times, reverse=True)


def stage_http(args, name="HTTP", options=(), env=None, timeout=900):
    stage = Stage(name, args.out)
    slug = re.sub(r"\W+", "-", name)
    report = os.path.join(stage.folder, slug + ".xml")
    if os.path.exists(report):
        os.unlink(report)
    # Tests wait more than they compute: one process more than processors.
    jobs = str((os.cpu_count() or 2) + 1)
    log = os.path.join(stage.folder, slug + ".log")
    status, text, seconds = run(
        [sys.executable, "-m", "pytest", "-q", "-n", jobs, "-p",
         "no:cacheprovider", f"--junitxml={report}", "tests/http", *options],
        timeout, log, env={
            "MODULES": os.path.join(args.out, "modules"),
            "HISTORY_SECONDS": HISTORY if env is None else HISTORY_AGAIN,
            "ROUTER_SECONDS": HISTORY if env is None else ROUTER_AGAIN,
            **os.environ, **(env or {}), "PYTHONDONTWRITEBYTECODE": "1"})
    passed, failed, times = junit_counts(report)
    if status != 0 and failed == 0:
        failed = 1
    stage.add("pytest tests/http " + " ".join(options), passed, failed, text,
              seconds)
    for took, test in times[:SLOWEST]:
        print(f"         {took:5.1f} s  {test}")
    if failed:
        print(f"         all of it: {log}")
    return stage.end()


# ---- the demonstration ------------------------------------------------------

def stage_demo(args):
    stage = Stage("demo PLAY=1", args.out)
    log = os.path.join(stage.folder, "demo.log")
    status, text, seconds = run(
        [sys.executable, "demo/demo.py", "--play", "--modules",
         os.path.join(args.out, "modules")], 180, log)
    found = re.findall(r"^(\d+) passed, (\d+) failed", text, re.M)
    passed, failed = map(int, found[-1]) if found else (int(status == 0), 0)
    if status != 0:
        failed = max(failed, 1)
    stage.add("the story", passed, failed, text, seconds)
    return stage.end()


def stage_drill(args):
    stage = Stage("drill", args.out)
    log = os.path.join(stage.folder, "drill.log")
    status, text, seconds = run(
        [sys.executable, "demo/drill.py", "--seconds",
         os.environ.get("DRILL_SECONDS", DRILL), "--modules",
         os.path.join(args.out, "modules"), "--out",
         os.path.join(args.out, "drill")], 300, log)
    found = re.findall(r"^(\d+) passed, (\d+) failed", text, re.M)
    passed, failed = map(int, found[-1]) if found else (0, 1)
    if status != 0:
        failed = max(failed, 1)
    stage.add("faults that harmed nobody", passed, failed, text, seconds)
    return stage.end()


# ---- sanitizers, compilers, MPMs --------------------------------------------

def with_out(args, out):
    return argparse.Namespace(out=os.path.join(TOP, out))


def stage_build(args):
    """Everything compiles under both compilers and each sanitizer."""
    stage = Stage("builds", args.out)
    # The build that called us need not be made again if gcc made it.
    says = subprocess.run(["cc", "--version"], capture_output=True, text=True,
                          check=False).stdout
    ours = (["OUT=" + os.path.relpath(args.out, TOP)]
            if "Free Software Foundation" in says
            else ["CC=gcc", "OUT=out-gcc"])
    # These makes are not part of the one that may have called us.
    env = {name: value for name, value in os.environ.items()
           if not name.startswith(("MAKE", "MFLAGS"))}
    for what, settings in (
            ("gcc", ours),
            ("clang", ["CC=clang", "OUT=out-clang"]),
            ("gcc, ASan and UBSan", ["SAN=address,undefined", "OUT=out-asan"]),
            ("gcc, TSan", ["SAN=thread", "OUT=out-tsan"])):
        status, text, seconds = run(
            ["make", f"-j{os.cpu_count() or 2}", "all", "tests", *settings],
            600, env=env)
        stage.add(what, int(status == 0), int(status != 0), text, seconds)
    return stage.end()


def stage_asan(args):
    args = with_out(args, "out-asan")
    env = {**FEW_HISTORIES, "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1",
           "UBSAN_OPTIONS": "print_stacktrace=1"}
    return add_up(stage_unit(args, env=env, name="unit under ASan, UBSan"),
                  stage_fuzz(args, env=env, name="seeds under ASan, UBSan"))


def stage_tsan(args):
    return stage_unit(with_out(args, "out-tsan"), name="unit under TSan",
                      env={**FEW_HISTORIES,
                           "TSAN_OPTIONS": "halt_on_error=1:exitcode=66"})


def stage_valgrind(args):
    """One process, no forks: what libcheck leaves behind is reachable."""
    return stage_unit(
        args, name="unit under valgrind", timeout=600,
        env={**FEW_HISTORIES, "CK_FORK": "no", "CK_TIMEOUT_MULTIPLIER": "50"},
        wrap=["valgrind", "-q", "--error-exitcode=99", "--leak-check=full",
              "--errors-for-leak-kinds=definite",
              "--show-leak-kinds=definite"])


def stage_http_asan(args):
    """httpd loads modules that were built with ASan: its runtime goes first.

    Leaks are not looked for: httpd's pools live as long as the process. What
    is found ends the child, and the test reads of it in error_log. ASan needs
    more address space than a test leaves to httpd that has too little memory.
    """
    args = with_out(args, "out-asan")
    config = open(os.path.join(args.out, "config.mk"), encoding="utf-8").read()
    httpd = re.search(r"^HTTPD := (\S+)", config, re.M).group(1)
    runtimes = [subprocess.run(["gcc", f"-print-file-name={name}"], check=True,
                               capture_output=True, text=True).stdout.strip()
                for name in ("libasan.so", "libubsan.so")]
    wrapper = os.path.join(args.out, "httpd")
    with open(wrapper, "w", encoding="utf-8") as file:
        file.write(f"""#!/bin/sh
export LD_PRELOAD='{' '.join(map(os.path.realpath, runtimes))}'
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:disable_coredump=1
export UBSAN_OPTIONS=abort_on_error=1:print_stacktrace=1
exec {httpd} "$@"
""")
    os.chmod(wrapper, 0o755)
    return stage_http(args, "HTTP under ASan", timeout=1200,
                      options=["-k", "not browser and not tomcat and not "
                                     "demo and not memory_that_cannot"],
                      env={"HTTPD": wrapper})


def stage_mpm(args):
    """The marked tests under the two MPMs that are not the default."""
    total = (0, 0)
    for mpm in ("worker", "prefork"):
        total = add_up(total, stage_http(
            args, f"HTTP under {mpm}", ["-m", "every_mpm"],
            {"TEST_MPM": mpm}))
    return total


def stage_static(args):
    """What the analyzers of clang and cppcheck say; nothing, that is."""
    stage = Stage("analyzers", args.out)
    with open(os.path.join(args.out, "obj/flags"), encoding="utf-8") as file:
        flags = dict(re.findall(r"^(\w+) := *(.*?) *$", file.read(), re.M))
    rings = [("CORE_FLAGS", "src/core/*.c"), ("IO_FLAGS", "src/io/*.c"),
             ("HTTPD_FLAGS", "src/httpd/*.c"), ("HTTPD_FLAGS", "mod_*.c")]
    jobs = []
    for ring, pattern in rings:
        paths = [f for f in flags[ring].split() if f not in ("-MMD", "-MP")
                 and not f.startswith("-W")]
        for source in sorted(glob.glob(os.path.join(TOP, pattern))):
            name = os.path.relpath(source, TOP)
            jobs.append((name, ["clang", *paths, "-w", "--analyze",
                                "--analyzer-output", "text", "-Xclang",
                                "-analyzer-werror", "-o", "/dev/null", name]))
    defines = ["-I" + f for f in ("src/core", "src/io", "src/httpd")]
    jobs.append(("cppcheck", [
        "cppcheck", "--quiet", "--std=c99", "--error-exitcode=1",
        "--enable=warning,performance,portability", "--inline-suppr",
        "--suppress=missingInclude", "-DHA_CHECK_RESULT=", *defines,
        "-D__attribute__(x)=", "-DAP_DECLARE_MODULE(x)=module x",
        "src", *sorted(os.path.basename(p) for p in
                       glob.glob(os.path.join(TOP, "mod_*.c")))]))
    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        results = pool.map(lambda job: (job[0], run(job[1], 300)), jobs)
        for name, (status, text, seconds) in results:
            stage.add(name, int(status == 0), int(status != 0), text, seconds)
    return stage.end()


# ---- all --------------------------------------------------------------------

def add_up(*pairs):
    return sum(p for p, _ in pairs), sum(f for _, f in pairs)


def main():
    stages = {name[len("stage_"):]: function
              for name, function in globals().items()
              if name.startswith("stage_")}
    ask = argparse.ArgumentParser()
    ask.add_argument("--out", default="out")
    ask.add_argument("stage", nargs="+", choices=sorted(stages))
    args = ask.parse_args()
    args.out = os.path.abspath(os.path.join(TOP, args.out))
    begun = time.monotonic()
    passed = failed = 0
    for name in args.stage:
        try:
            passed, failed = add_up((passed, failed), stages[name](args))
        except Exception as fault:  # a broken stage must not hide the others
            print(f"  FAILED {name}: {type(fault).__name__}: {fault}")
            failed += 1
    print(f"\n{time.monotonic() - begun:.0f} s")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
