# SPDX-License-Identifier: Apache-2.0
"""What `make` asks of a machine, and what `make install` leaves on it."""

import glob
import os
import re
import subprocess

import pytest

from httpd import ROOT, module_folder, our_module

NAMES = ("proxy_balancer_clone", "session_ha")


def sh(program, *words, **env):
    """Run one of build/; returns (exit, all it said)."""
    done = subprocess.run(["sh", os.path.join("build", program), *words],
                          cwd=ROOT, env={**os.environ, **env}, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


def write(folder, name, text, mode=0o644):
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, name)
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, mode)
    return path


def shown(name):
    with open(os.path.join(ROOT, "conf.d", name + ".conf")) as f:
        return f.read()


# ---- install, uninstall

class Machine:
    """A root file system of its own, with homes for configuration in it."""

    def __init__(self, folder, *homes):
        self.etc = os.path.join(folder, "etc")
        self.conf = os.path.join(self.etc, "web")
        self.lib = os.path.join(folder, "lib")
        self.bin = os.path.join(folder, "bin")
        self.man = os.path.join(folder, "man")
        self.share = os.path.join(folder, "share")
        for home in homes:
            os.makedirs(os.path.join(self.etc, home))

    def run(self, verb, destdir=""):
        code, said = sh("install.sh", verb, DESTDIR=destdir,
                        LIBEXECDIR=self.lib, SYSCONFDIR=self.conf,
                        BINDIR=self.bin,
                        MANDIR=self.man, OUT=os.path.dirname(
                            os.path.dirname(our_module(NAMES[0]))))
        assert code == 0, said
        return said

    def files(self):
        """Paths below etc, and in those of modules, programs, manual pages
        and what programs are made of."""
        return sorted(os.path.relpath(path, self.etc) for path in
                      glob.glob(self.etc + "/**", recursive=True)
                      + glob.glob(self.lib + "/*")
                      + glob.glob(self.bin + "/*")
                      + glob.glob(self.man + "/*/*")
                      + glob.glob(self.share + "/**", recursive=True)
                      if os.path.isfile(path))


PAGES = sorted(glob.glob(os.path.join(ROOT, "man", "*.1")))
COMMANDS = [os.path.basename(page)[:-2] for page in PAGES]
MODULES = sorted([f"../bin/{name}" for name in COMMANDS]
                 + [f"../lib/mod_{name}.so" for name in NAMES]
                 + [f"../man/man1/{name}.1" for name in COMMANDS]
                 + [f"../share/session-ha/drill/{os.path.basename(path)}"
                    for path in glob.glob(os.path.join(ROOT, "tools", "drill",
                                                       "*.py"))])


def test_debian_kin_get_modules_to_enable(workdir, httpd):
    machine = Machine(workdir, "web/mods-available", "web/mods-enabled")
    said = machine.run("install")
    assert "a2enmod session_ha proxy_balancer_clone" in said
    available = os.path.join(machine.conf, "mods-available")
    assert machine.files() == MODULES + [
        f"web/mods-available/{name}.{kind}" for name in NAMES
        for kind in ("conf", "load")]
    # As a2enmod does: what a module depends on, and links in one folder.
    enabled = os.path.join(machine.conf, "mods-enabled")
    for name in NAMES:
        load = open(os.path.join(available, name + ".load")).read()
        for needed in re.search(r"^# Depends: (.+)$", load, re.M)[1].split():
            write(enabled, needed + ".load", f"LoadModule {needed}_module "
                  f"{module_folder()}/mod_{needed}.so\n")
        for kind in ("load", "conf"):
            os.symlink(os.path.join(available, f"{name}.{kind}"),
                       os.path.join(enabled, f"{name}.{kind}"))
    loads(httpd, f"Include {enabled}/*.load\n"
                            f"Include {enabled}/*.conf\n")
    assert "mods-enabled/session_ha.load" in machine.run("uninstall")
    assert not [path for path in machine.files()
                if any(name in path for name in NAMES)]


def test_who_installs_is_told_what_is_switched_on(workdir):
    """Before a2enmod does it, and again by whoever opens the files."""
    machine = Machine(workdir, "web/mods-available")
    said = machine.run("install")
    for name, line, words in (
            ("session_ha", "SessionHA On", ("users log in again", "HA0307",
                                            "SessionCryptoPassphrase")),
            ("proxy_balancer_clone", "ProxyCloneRouting On",
             ("Tomcat", "ProxyCloneProfile", "stickysession"))):
        path = os.path.join(machine.conf, "mods-available", name + ".conf")
        text = open(path).read()
        assert path in said and f"\n{line}\n" in text
        head = " ".join(text.split(f"\n{line}\n")[0].replace("#", "").split())
        for word in (line, *words):
            assert word in head, f"{name}.conf lacks {word}"
            assert word in " ".join(said.split()), f"install lacks {word}"
    assert said.index("To begin with nothing changed") < said.index("Now:")


def loads(httpd, text):
    """httpd finds no fault in these lines, which load what ours need."""
    server = httpd("", own=(), start=False)
    conf = server.write_conf()
    kept = [line for line in open(conf).read().splitlines()
            if not re.match(r"LoadModule (session|proxy_(bal|http)|lbm)", line)
            and not line.startswith("LoadModule auth_form")]
    write(server.dir, "httpd.conf", "\n".join(kept) + "\n" + text
          + "<Location />\nSession On\nSessionEnv On\n</Location>\n")
    done = subprocess.run(server._argv(conf) + ["-t"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert (done.returncode, done.stdout) == (0, "Syntax OK\n")


def test_fedora_kin_load_them_after_the_stock_ones(workdir):
    machine = Machine(workdir, "conf.modules.d", "conf.d", "web")
    assert "restart httpd" in machine.run("install")
    assert machine.files() == MODULES + [
        f"conf.d/{name}.conf" for name in NAMES] + [
        f"conf.modules.d/20-{name}.conf" for name in NAMES]
    machine.run("uninstall")
    assert machine.files() == []


def test_any_other_httpd_is_told_what_to_add(workdir, httpd):
    machine = Machine(workdir, "web")
    said = machine.run("install")
    stock = "".join(f"LoadModule {name}_module {module_folder()}/mod_{name}"
                    ".so\n" for name in ("session", "proxy_http",
                                         "proxy_balancer",
                                         "lbmethod_byrequests"))
    lines = re.findall(r"^    (.+)$", said, re.M)
    assert len(lines) == 4
    loads(httpd, stock + "\n".join(lines) + "\n")
    machine.run("uninstall")
    assert machine.files() == []


def test_a_package_is_laid_out_as_the_system_it_is_made_for(workdir):
    machine = Machine(workdir)
    root = os.path.join(workdir, "root")
    os.makedirs(root + machine.etc + "/conf.modules.d")
    assert "restart httpd" in machine.run("install", root)
    assert not machine.files()
    assert os.path.exists(root + machine.bin + "/clonectl")
    assert os.listdir(root + machine.etc + "/conf.d") != []
    machine.run("uninstall", root)
    assert not [name for _, _, names in os.walk(root) for name in names]


def test_the_commands_can_be_had_alone(workdir):
    machine = Machine(workdir, "web/mods-available")
    machine.run("commands")
    assert machine.files() == [path for path in MODULES
                               if not path.startswith("../lib")]


def test_an_installed_drill_finds_what_it_is_made_of(workdir):
    machine = Machine(workdir, "web/mods-available")
    machine.run("commands")
    before = machine.files()
    said = subprocess.run([os.path.join(machine.bin, "session-ha-drill"),
                           "--help"], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    assert said.returncode == 0, said.stdout
    assert "rehearse failures" in said.stdout
    assert machine.files() == before      # it leaves nothing of its own


def test_an_edited_configuration_is_kept(workdir):
    machine = Machine(workdir, "web/mods-available")
    machine.run("install")
    folder = os.path.join(machine.conf, "mods-available")
    mine = write(folder, "session_ha.conf", "SessionHA Off\n")
    assert "is yours and stays" in machine.run("install")
    assert open(mine).read() == "SessionHA Off\n"
    assert open(mine + ".new").read() == shown("session_ha")
    assert "was edited" in machine.run("uninstall")
    assert machine.files() == ["web/mods-available/session_ha.conf.saved"]


# ---- manual pages

def test_each_command_has_a_manual_page():
    tools = os.path.join(ROOT, "tools")
    programs = {name for name in os.listdir(tools)
                if os.path.isfile(os.path.join(tools, name))
                and os.access(os.path.join(tools, name), os.X_OK)}
    assert programs | {"clonectl-conf"} == set(COMMANDS)


def help_of(name, *words):
    """What a command says of itself, the words of its commands included."""
    tools = os.path.dirname(os.path.dirname(our_module(NAMES[0])))
    path = os.path.join(ROOT, "tools", name)
    if not os.path.exists(path):
        path = os.path.join(tools, "tools", name)
    return subprocess.run([path, *words, "--help"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_a_manual_page_has_every_option_and_exit_status(name):
    with open(os.path.join(ROOT, "man", name + ".1")) as f:
        page = f.read().replace("\\-", "-")
    says = help_of(name)
    for word in ("status", "drain", "stop", "wait") * (name == "clonectl"):
        says += help_of(name, word)
    options = set(re.findall(r"(?<![-\w])--?[a-z][-a-z]*", says))
    assert options
    assert options <= set(re.findall(r"(?<![-\w])--?[a-z][-a-z]*", page))
    for status in re.findall(r"^  (\d)  ", says, re.M):
        assert f"\n.B {status}\n" in page, status
    assert page.startswith('.\\" SPDX-License-Identifier: Apache-2.0\n'
                           f".TH {name.upper()} 1 ")


# ---- what the build refuses

@pytest.fixture
def tools(workdir):
    """tools(*programs, **scripts) -> PATH with these and nothing else."""
    def factory(*programs, **scripts):
        folder = os.path.join(workdir, "bin")
        os.makedirs(folder)
        for name in ("sh dirname cut tr sort sed grep cat mktemp rm tail "
                     "id").split() + list(programs):
            path = subprocess.run(["sh", "-c", f"command -v {name}"],
                                  stdout=subprocess.PIPE, check=True,
                                  text=True).stdout.strip()
            os.symlink(path, os.path.join(folder, name))
        for name, text in scripts.items():
            path = os.path.join(folder, name.replace("_", "-"))
            if os.path.lexists(path):
                os.unlink(path)
            write(folder, name.replace("_", "-"), "#!/bin/sh\n" + text, 0o755)
        return folder

    return factory


def test_an_old_libmemcached_is_refused_when_building(workdir, tools):
    folder = tools("python3", pkg_config="""
        case $* in
        *--modversion*) echo 1.0.18 ;;
        *--atleast-version*) exit 1 ;;
        esac""")
    code, said = sh("config.sh", OUT=os.path.join(workdir, "out"),
                    PATH=folder + ":" + os.environ["PATH"])
    assert code != 0
    assert "error: libmemcached 1.0.18 is too old, 1.1.4 is needed" in said
    assert 'report a time-out as "not found"' in said


def test_an_old_libmemcached_is_refused_at_start(workdir, httpd):
    source = write(workdir, "old.c", "const char *memcached_lib_version(void);"
                   '\nconst char *memcached_lib_version(void)'
                   '{ return "1.1.3"; }\n')
    old = os.path.join(workdir, "old.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", old, source], check=True)
    server = httpd("", start=False)
    conf = server.write_conf()
    text = open(conf).read().replace("LoadModule session_ha",
                                     f"LoadFile {old}\nLoadModule session_ha")
    write(server.dir, "httpd.conf", text + "SessionHA On\n"
          "SessionHAServer name=a address=127.0.0.1:1\n")
    done = subprocess.run(server._argv(conf) + ["-t"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode != 0
    assert "HA0102: SessionHAServer cannot be used: libmemcached 1.1.3 is " \
           "loaded, 1.1.4 is needed" in done.stdout


def test_an_apxs_that_is_not_there_is_named():
    assert sh("deps.sh", "build", APXS="/no/such/apxs") == \
        (1, "error: APXS=/no/such/apxs: no such program\n")


def test_a_machine_without_apt_or_dnf_is_told_what_is_needed(tools):
    code, said = sh("deps.sh", "build", PATH=tools())
    assert code == 1
    assert "neither apt-get nor dnf. Needed are:\n  tool cc\n" in said
    assert "  library libmemcached\n" in said


def test_without_root_and_sudo_the_command_is_told(tools):
    folder = tools(id="echo 1000", apt_get="exit 9")
    code, said = sh("deps.sh", "build", PATH=folder)
    assert code == 1
    assert re.search("error: not root, and there is no sudo. As root, run:\n"
                     "  apt-get install .*libmemcached-dev", said)


def test_sudo_is_used_where_there_is_one(tools):
    folder = tools(id="echo 1000", apt_get="exit 9",
                   sudo='echo "sudo $*"; exit 1')
    code, said = sh("deps.sh", "build", PATH=folder)
    assert code == 1
    assert "deps: installing for build: " in said
    assert "sudo -n apt-get update" in said
    assert "error: the packages could not be installed: " in said


def test_a_package_that_cannot_be_had_is_an_error(tools):
    folder = tools("env", id="echo 0", tee="cat >/dev/null", chmod="",
                   rm='case $* in *policy-rc.d) ;; *) exec /bin/rm "$@";; esac',
                   apt_get="echo 'E: Unable to locate package'; exit 100")
    code, said = sh("deps.sh", "build", PATH=folder)
    assert code == 1
    assert "E: Unable to locate package" in said
    assert "error: the packages could not be installed: apache2-dev" in said


def test_what_is_there_is_not_installed_again(tools):
    folder = tools(apt_get="exit 9")
    path = folder + ":" + os.environ["PATH"]
    assert sh("deps.sh", "build", "demo", PATH=path) == \
        (0, "deps: nothing is missing for: build demo\n")
    assert sh("deps.sh", "--quiet", "build", PATH=path) == (0, "")
