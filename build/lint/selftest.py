#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Plants one fault at a time into a copy of this tree, and expects the lint
whose promise it breaks to name it. Ends with "N passed, N failed".
"""
import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

from lintlib import HERE, TOP, Lint

CORE = "src/core/ha_place.c"
CONF = "src/core/planted_conf"
START = "/* SPDX-License-Identifier: Apache-2.0 */\n"
BLOCK = """
```
SessionHAPlanted
  Description:    A directive that is not there
```
"""

# lint, file, (text to find or None to append, text to put), what it must say
FAULTS = [
    ("core_is_pure", CORE, (None, "#include <apr_file_io.h>\n"),
     "includes apr_file_io.h"),
    ("core_is_pure", CORE, (None, "#include <httpd.h>\n"), "includes httpd.h"),
    ("core_is_pure", CORE, (None, "#include <time.h>\n"), "includes time.h"),
    ("core_is_pure", CORE,
     (None, "apr_uint64_t planted(void);\n"
            "long time(long *);\napr_uint64_t planted(void)\n"
            "{\n    return (apr_uint64_t)time(0);\n}\n"), "calls time()"),
    ("core_is_pure", CORE,
     (None, "int apr_generate_random_bytes(unsigned char *, unsigned long);\n"
            "int planted(void);\nint planted(void)\n{\n    unsigned char b;\n"
            "    return apr_generate_random_bytes(&b, 1);\n}\n"),
     "calls apr_generate_random_bytes()"),
    ("core_is_pure", CORE,
     (None, "int planted(void);\nint planted(void)\n{\n"
            "    static int calls;\n    return ++calls;\n}\n"),
     "has a global, calls"),
    ("core_is_pure", CORE, (None, "extern int p;\nint p = 7;\n"),
     "has a global, p"),
    ("merge_is_whole", CONF, None, "planted_conf_merge() forgets lost"),
    ("merge_is_whole", CONF, None, "has no row for planted_conf_t.kept"),
    ("tests_are_run", "tests/unit/test_ha_place.c",
     (r"    tcase_add_test\(tcase, a_share_follows_the_weight\);\n", ""),
     "a_share_follows_the_weight is added to no case"),
    ("tests_are_run", "tests/unit/test_ha_place.c",
     (r"    suite_add_tcase\(suite, tcase\);\n", ""), "is added to no suite"),
    ("tests_are_run", "src/core/planted.c", (None, START),
     "has no tests/unit/test_planted.c"),
    ("tests_are_run", "tests/http/test_planted.py",
     (None, "class Planted:\n    def test_never_run(self):\n"
            "        assert False\n"), "test_never_run is not collected"),
    ("tests_are_run", "tests/http/test_planted.py",
     (None, "import pytest\n\n\n@pytest.mark.sk" "ip\ndef test_a():\n"
            "    assert False\n"), "skips"),
    ("promises_have_tests", "docs/tests.md", (r"`test_any_one_node_may_die`",
                                              "`test_never_written`"),
     "there is no test test_never_written"),
    ("promises_have_tests", "docs/tests.md", (r"(?m)^\| P5 .*\n", ""),
     "P5 has no row"),
    ("promises_have_tests", "docs/tests.md",
     (r"(?m)^(\| HTTP/2 \|).*$", r"\1 |"), "'HTTP/2' has no test"),
    ("directives_are_documented", "README.md", (None, BLOCK),
     "httpd does not know it"),
    ("directives_are_documented", "README.md",
     (r"(?m)^  Default: +SessionHAReplicas.*\n", ""), "fields are"),
    ("directives_are_documented", "README.md",
     (r"\nProxyCloneRouting\n  D", "\nProxyCloneRouter\n  D"),
     "has no block in README.md"),
    ("directives_are_documented", "README.md",
     (r"(?s)(\nSessionHAReplicas\n.*?Context: +).*?\n",
      r"\1server config, directory\n"), "but httpd does not allow it"),
    ("directives_are_documented", "conf.d/session_ha.conf",
     (r"SessionHAReplicas", "SessionHAReplica"), "is not in conf.d"),
    ("attributes_are_documented", "docs/migrate-websphere.md",
     (r"`FIPSEnable`", "FIPS"), "does not name FIPSEnable"),
    ("attributes_are_documented", "docs/migrate-websphere.md",
     (r"`IntelligentManagement`", "some"),
     "does not name IntelligentManagement"),
    ("tags_are_unique", "src/httpd/planted.c",
     (None, 'x(HALOG(0998) "a"); x(HALOG(0998) "b");\n'),
     "is used at 2 places"),
    ("tags_are_unique", "src/httpd/planted.c",
     (None, 'x(HALOG(0998) "a");\n'), "HA0998 has no line in"),
    ("tags_are_unique", "src/httpd/planted.c",
     (None, 'x(HALOG(0998) "a");\n'), "HA0998 is not in README.md"),
    ("tags_are_unique", "src/httpd/log_tags.h",
     (r" 0101 crit ", " 0101 info "), "log_tags.h says info"),
    ("tags_are_unique", "README.md", (None, "HA0999 means nothing\n"),
     "HA0999 is never logged"),
    ("functions_fit", CORE,
     (None, "int f(void)\n{\n" + "    f();\n" * 61 + "}\n"),
     "f() has 61 lines"),
    ("functions_fit", CORE, (None, "x" * 81 + "\n"), "81 columns"),
    ("functions_fit", CORE, (None, "int f(void) {\n}\n"),
     "a function's brace"),
    ("functions_fit", CORE, (None, "    } else {\n"), "else on the line"),
    ("functions_fit", CORE, (None, "x; // y\n"), "a // comment"),
    ("functions_fit", CORE, (None, "\n" * 600), "lines"),
    ("headers_compile_alone", "src/core/planted.h",
     (None, START + "apr_size_t planted(void);\n"),
     "does not compile alone"),
    ("headers_compile_alone", "src/core/planted.h",
     (None, START + "#include <httpd.h>\n"), "does not compile alone"),
    ("no_machine_paths", "planted.md", (None, "see /ho" "me/me/notes\n"),
     "names /ho" "me/"),
    ("no_machine_paths", "planted.md", (None, "from deb.debi" "an.org\n"),
     "names deb.debi" "an.org"),
    ("licence_is_named", "planted.py", (None, "print(1)\n"),
     "does not name its licence"),
    ("licence_is_named", "planted.o", (None, "\n"), "is a build product"),
    ("licence_is_named", "LICENSE", (r"(?s).*", "All rights reserved\n"),
     "is not the whole Apache License"),
]


def plant(root, path, change):
    full = os.path.join(root, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    text = ""
    if os.path.exists(full):
        with open(full, encoding="utf-8") as file:
            text = file.read()
    if change[0] is None:
        changed = text + change[1]
    else:
        changed = re.sub(change[0], change[1], text, count=1)
        if changed == text:
            return False
    with open(full, "w", encoding="utf-8") as file:
        file.write(changed)
    return True


def plant_conf(root):
    """A settings record of two members: merge forgets one, no row at all."""
    plant(root, CONF + ".h", (None, START + """
typedef struct planted_conf_t {
    int kept; /**< merged */
    int lost; /**< forgotten */
} planted_conf_t;
"""))
    plant(root, CONF + ".c", (None, START + """
void planted_conf_merge(planted_conf_t *conf, const planted_conf_t *over)
{
    conf->kept = over->kept;
}
"""))


def compile_core(root, out):
    """The planted core file, as an object where core_is_pure looks."""
    settings = Lint.settings
    holder = argparse.Namespace(out=out)
    flags = settings(holder, "obj/flags")
    subprocess.run(
        [*shlex.split(flags["CC"]), *shlex.split(flags["CORE_FLAGS"]), "-w",
         "-O0", "-U_FORTIFY_SOURCE", "-c", "-o",
         os.path.join(root, "out/obj", CORE[:-2] + ".o"), CORE],
        cwd=root, check=False, capture_output=True)


def outcome(lint, root, out):
    done = subprocess.run(
        [sys.executable, os.path.join(HERE, lint + ".py"), "--root", root,
         "--out", out], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def says(lint, path, change, words, clean, out):
    """None when the lint goes red and says so, else what went wrong."""
    with tempfile.TemporaryDirectory(prefix="lint-") as folder:
        root = os.path.join(folder, "tree")
        shutil.copytree(clean, root, symlinks=True)
        if lint == "core_is_pure":
            folders = os.path.join(root, "out/obj/src/core")
            os.makedirs(folders)
            for name in os.listdir(os.path.join(out, "obj/src/core")):
                if name.endswith(".o"):
                    shutil.copy(os.path.join(out, "obj/src/core", name),
                                folders)
        if not path.startswith("tests/http/"):
            # pytest need not collect what is not asked about.
            shutil.rmtree(os.path.join(root, "tests/http"))
        if path == CONF:
            plant_conf(root)
        elif not plant(root, path, change):
            return f"nothing to replace in {path}"
        used = out
        if lint == "core_is_pure":
            compile_core_with = os.path.join(root, "out")
            shutil.copy(os.path.join(out, "obj/flags"),
                        os.path.join(compile_core_with, "obj/flags"))
            compile_core(root, compile_core_with)
            used = compile_core_with
        status, text = outcome(lint, root, used)
        if status == 0:
            return "stays green"
        return None if words in text else "does not say so:\n" + text[-1500:]


def plant_symbol(out, folder):
    """A module that exports a helper and calls what is nowhere."""
    used = os.path.join(folder, "symbols")
    os.makedirs(os.path.join(used, "modules"))
    shutil.copy(os.path.join(out, "config.mk"), used)
    settings = Lint.settings(argparse.Namespace(out=out), "obj/flags")
    for name in ("session_ha", "proxy_balancer_clone"):
        subprocess.run(
            [*shlex.split(settings["CC"]), "-shared", "-fPIC", "-w", "-o",
             os.path.join(used, "modules", f"mod_{name}.so"), "-x", "c", "-"],
            input=f"int {name}_module; int missing(void);\n"
                  "int helper(void) { return missing(); }\n",
            text=True, check=True)
    return used


def copy_tree(folder, out):
    """What git knows or could know, without its history."""
    holder = argparse.Namespace(root=TOP)
    clean = os.path.join(folder, "clean")
    for path in Lint.sources(holder):
        to = os.path.join(clean, path)
        os.makedirs(os.path.dirname(to), exist_ok=True)
        shutil.copy(os.path.join(TOP, path), to)
    return clean


def main():
    ask = argparse.ArgumentParser()
    ask.add_argument("--out", default=os.path.join(TOP, "out"))
    out = os.path.abspath(ask.parse_args().out)
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="lint-") as folder:
        clean = copy_tree(folder, out)
        empty = os.path.join(folder, "empty")
        os.makedirs(os.path.join(empty, "modules"))
        for name in ("config.mk", "obj/flags"):
            os.makedirs(os.path.dirname(os.path.join(empty, name)),
                        exist_ok=True)
            shutil.copy(os.path.join(out, name), os.path.join(empty, name))
        lints = sorted({fault[0] for fault in FAULTS} | {"one_symbol"})
        for lint in lints:
            status, text = outcome(lint, os.path.join(folder, "nowhere"),
                                   empty)
            good = status != 0 and "found nothing to check" in text
            passed, failed = passed + good, failed + (not good)
            if not good:
                print(f"{lint}: an empty tree is no fault to it\n{text}")
        status, text = outcome("one_symbol", TOP, plant_symbol(out, folder))
        for words in ("exports ['helper', 'session_ha_module']",
                      "calls missing(), which nothing has"):
            good = status != 0 and words in text
            passed, failed = passed + good, failed + (not good)
            if not good:
                print(f"one_symbol: does not say '{words}'\n{text}")
        with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
            faults = pool.map(lambda f: says(*f, clean, out), FAULTS)
            for (lint, path, _, words), fault in zip(FAULTS, faults):
                passed, failed = passed + (not fault), failed + bool(fault)
                if fault:
                    print(f"{lint}: planted '{words}' in {path}: {fault}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
