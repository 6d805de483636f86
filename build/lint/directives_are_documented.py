#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
What `httpd -L` says of our directives, what README.md says and what conf.d
shows are the same, name by name; a README block has the manual's fields, and
its Context is where httpd allows the directive.
"""
import os
import re
import subprocess
import tempfile

from lintlib import Lint

MODULES = {
    "session_ha": ("mod_session_ha", ["session"]),
    "proxy_balancer_clone": ("mod_proxy_balancer_clone", ["proxy"]),
}
FIELDS = ["Description", "Syntax", "Default", "Context", "Status", "Module",
          "Compatibility"]
CONTEXTS = {"server config", "virtual host", "directory", ".htaccess"}


def known_to_httpd(lint):
    """{name: (module, is allowed in a directory)} as `httpd -L` prints it."""
    config = lint.settings("config.mk")
    stock = f"LoadModule {{0}}_module {config['LIBEXECDIR']}/mod_{{0}}.so\n"
    built_in = subprocess.run([config["HTTPD"], "-l"], capture_output=True,
                              text=True).stdout
    needed = ["authz_core"]
    if not re.search(r"event\.c|worker\.c|prefork\.c", built_in):
        needed.append("mpm_event")
    lines = "ServerName localhost\nErrorLog error_log\n"
    for name, (so, before) in MODULES.items():
        needed += before
    for name in needed:
        if f"mod_{name}.c" not in built_in:
            lines += stock.format(name)
    for name, (so, before) in MODULES.items():
        lines += f"LoadModule {name}_module {lint.out}/modules/{so}.so\n"
    with tempfile.TemporaryDirectory() as folder:
        conf = os.path.join(folder, "httpd.conf")
        with open(conf, "w", encoding="utf-8") as file:
            file.write(f'ServerRoot "{folder}"\n{lines}')
        out = subprocess.run([config["HTTPD"], "-f", conf, "-L"],
                             capture_output=True, text=True)
    if out.returncode != 0:
        lint.fault("httpd -L", out.stderr.strip())
    ours = {so for so, _ in MODULES.values()}
    found = {}
    for name, module, about in re.findall(
            r"^(?:<)?(\w+)>? \((\w+)\.c\)\n((?:\t.*\n)*)", out.stdout, re.M):
        if module in ours:
            found[name] = (module, "anywhere" in about or
                           "in .htaccess" in about or
                           "inside <Directory>" in about)
    return found


def blocks_of(readme):
    """{name: [(field, value), ...]}"""
    found = {}
    for name, body in re.findall(
            r"^```\n((?:SessionHA|ProxyClone)\w*)\n((?:  +\S.*\n)+)```",
            readme, re.M):
        body = re.sub(r"\n {6,}", " ", body)
        found[name] = re.findall(r"^  (\w+):\s+(.*)$", body, re.M)
    return found


def check_block(lint, name, pairs, module, in_directory):
    fields = [field for field, _ in pairs]
    value = dict(pairs)
    places = [p.strip() for p in value.get("Context", "").split(",")]
    wanted = list(FIELDS)
    if ".htaccess" in places:
        wanted.insert(FIELDS.index("Context") + 1, "Override")
    where = f"README.md, {name}"
    if fields != wanted:
        lint.fault(where, f"fields are {fields}, not {wanted}")
        return
    if not value["Syntax"].startswith(name + " "):
        lint.fault(where, "Syntax begins with another name")
    if value["Default"] != "None" and \
            not value["Default"].startswith(name + " "):
        lint.fault(where, f"Default is {value['Default']!r}, neither a line "
                          "to write nor None")
    if value["Module"] != module:
        lint.fault(where, f"Module is {value['Module']}, not {module}")
    if not set(places) <= CONTEXTS:
        lint.fault(where, f"Context {value['Context']!r} is not the manual's")
    if ("directory" in places) != in_directory:
        lint.fault(where, f"Context {value['Context']!r}, but httpd does "
                          f"{'' if in_directory else 'not '}allow it in a "
                          "directory")


def main():
    lint = Lint("directives_are_documented")
    readme = lint.read("README.md")
    blocks = blocks_of(readme)
    shown = set()
    for path in lint.files("conf.d/*.conf"):
        shown |= set(re.findall(
            r"^\s*#?\s*((?:SessionHA|ProxyClone)\w*)\b", lint.read(path),
            re.M))
    known = known_to_httpd(lint)
    for name, (module, in_directory) in sorted(known.items()):
        lint.checked += 1
        if name not in blocks:
            lint.fault(name, "has no block in README.md")
        else:
            check_block(lint, name, blocks[name], module, in_directory)
        if name not in shown:
            lint.fault(name, "is not in conf.d")
    for name in sorted((set(blocks) | shown) - set(known)):
        lint.fault(name, "is documented, but httpd does not know it")
    for so in {so for so, _ in MODULES.values()}:
        if so not in {module for module, _ in known.values()}:
            lint.fault(so, "has no directive")
    lint.done()


if __name__ == "__main__":
    main()
