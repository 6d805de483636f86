# SPDX-License-Identifier: Apache-2.0
"""A real httpd: own ServerRoot, free port, its error_log read to the end.

Environment: HTTPD and APXS name other programs, MODULES the folder of our two
modules (default out/modules), TEST_MPM another MPM than event.
"""

import functools
import os
import re
import shlex
import shutil
import signal
import subprocess

from client import Client
from process import Process, free_port, servers_account, wait_until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
OURS = ("session_ha", "proxy_balancer_clone")
STOCK = """authz_core authn_core authn_file authz_user authz_host unixd
    log_config mime dir alias headers env setenvif rewrite status cgi
    slotmem_shm socache_shmcb watchdog proxy proxy_http proxy_balancer
    proxy_hcheck lbmethod_byrequests lbmethod_bytraffic lbmethod_bybusyness
    session session_cookie request auth_form""".split()
LEVELS = ("emerg", "alert", "crit", "error", "warn", "notice", "info",
          "debug", "trace1", "trace2", "trace3", "trace4", "trace5",
          "trace6", "trace7", "trace8")
# "raw" is a line that httpd's logger did not write: an assertion, a
# sanitizer, a library. It counts as worse than any level.
LINE = re.compile(r"^\[[^\]]*\] \[([-\w]+):(\w+)\] \[pid ")
CRASH = re.compile(r"AH0005[012]: child pid .* exit signal")
PARENT_CRASH = re.compile(r"AH00060: seg fault")
# At SIGTERM the event MPM closes the sockets of busy workers without a lock,
# and a worker that is done just then frees the same socket: seen as a child
# that dies or complains in close_worker_sockets(), with and without us. The
# other MPMs do no such thing, and neither does a graceful stop; tests of both
# see every crash of ours.
STOP_RACE = re.compile(CRASH.pattern + r"|AH0309[23]:"
                       r"|^(free|malloc|realloc|corrupted|double free)\b")
# A distribution may ship an httpd that was built with a newer OpenSSL than
# the one it has installed. That is its matter, and mod_ssl's to warn of.
OF_THE_DISTRIBUTION = re.compile(r"\bAH01882:")
UP = "resuming normal operations"
# what the lines of a log begin with that Httpd.lines() reads
BEGAN = "%{begin:usec}t"


def find_program(env, *names):
    if os.environ.get(env):
        return os.environ[env]
    for name in names:
        for folder in ("", "/usr/sbin/", "/usr/bin/"):
            path = shutil.which(folder + name)
            if path:
                return path
    raise RuntimeError(f"found none of {', '.join(names)}; set {env}")


@functools.lru_cache(maxsize=None)
def httpd_binary():
    return find_program("HTTPD", "apache2", "httpd")


@functools.lru_cache(maxsize=None)
def module_folder():
    apxs = find_program("APXS", "apxs", "apxs2")
    return subprocess.run([apxs, "-q", "LIBEXECDIR"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout.strip()


@functools.lru_cache(maxsize=None)
def compiled_in():
    text = subprocess.run([httpd_binary(), "-l"], text=True,
                          stdout=subprocess.PIPE).stdout
    return frozenset(re.findall(r"mod_(\w+)\.c", text))


def our_module(name):
    folder = os.environ.get("MODULES") or os.path.join(ROOT, "out", "modules")
    path = os.path.join(os.path.abspath(folder), f"mod_{name}.so")
    if not os.path.exists(path):
        raise RuntimeError(f"{path} is missing: run make")
    return path


def documented(module):
    """The directives of a module that README.md has a block for."""
    with open(os.path.join(ROOT, "README.md")) as f:
        names = set(re.findall(rf"^(\w+)\n(?:  .*\n)*  Module: +{module}$",
                               f.read(), re.M))
    assert names, f"README.md has no directive of {module}"
    return names


def named(rows):
    """What the complaints of a table of (configuration, complaint) name."""
    return {word for _, says in rows for word in re.findall(r"\w+", says)}


class Log:
    """error_log, and which of its bad lines a test has announced."""

    def __init__(self, path):
        self.path = path
        self.announced = []
        self.returned = {}
        self.stops = []     # [first, end) of the lines while event stopped

    @property
    def text(self):
        try:
            with open(self.path, errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def all(self):
        """(level, line) of each complete line."""
        result = []
        for line in self.text.split("\n")[:-1]:
            found = LINE.match(line)
            level = found.group(2) if found else "raw"
            if CRASH.search(line) or PARENT_CRASH.search(line):
                level = "alert"
            if line:
                result.append((level, line))
        return result

    def lines(self, level="warn", without=()):
        """The lines of this level and of the worse ones, without those of
        these numbers."""
        bad = LEVELS[:LEVELS.index(level) + 1] + ("raw",)
        return [line for i, (lv, line) in enumerate(self.all())
                if lv in bad and i not in without]

    @staticmethod
    def pattern(tag_or_regex):
        if re.fullmatch(r"[A-Z]{2}\d+", tag_or_regex):
            return re.compile(r"\b" + tag_or_regex + r":")
        return re.compile(tag_or_regex)

    def allow(self, tag_or_regex):
        """Lines like this one may come, or not."""
        self.announced.append(self.pattern(tag_or_regex))

    def expect(self, tag_or_regex, timeout=5):
        """Wait for such a line that no earlier expect() returned.

        It and its like are announced: teardown does not mind them.
        """
        pattern = self.pattern(tag_or_regex)
        self.announced.append(pattern)
        seen = self.returned.get(tag_or_regex, 0)

        def find():
            found = [l for _, l in self.all() if pattern.search(l)]
            return found[seen:] or None

        try:
            line = wait_until(find, timeout, f"'{tag_or_regex}' in error_log")
        except AssertionError as e:
            raise AssertionError(f"{e}; it says:\n{self.text[-6000:]}")
        self.returned[tag_or_regex] = seen + 1
        return line[0]

    def has(self, tag_or_regex):
        pattern = self.pattern(tag_or_regex)
        return any(pattern.search(line) for _, line in self.all())

    def unannounced(self):
        lines = self.all()
        raced = {i for first, end in self.stops for i in range(first, end)
                 if STOP_RACE.search(lines[i][1])}
        return [line for line in self.lines("warn", without=raced)
                if not OF_THE_DISTRIBUTION.search(line)
                and not any(p.search(line) for p in self.announced)]


class Httpd(Process):
    """conf is the text of the configuration after what every server needs."""

    death_signal = signal.SIGTERM      # the parent then ends its children

    def stop(self):
        first = len(self.log.all())
        is_event = self.mpm == "event" and self.is_running()
        super().stop()
        if is_event:
            self.log.stops.append((first, len(self.log.all())))

    def __init__(self, dir, conf, mpm=None, modules=(), own=OURS, tls=False,
                 loglevel=None, name="httpd", directives=""):
        super().__init__()
        self.dir = str(dir)
        self.conf = conf
        self.name = name
        self.mpm = mpm or os.environ.get("TEST_MPM") or "event"
        self.modules = list(modules)
        self.own = own
        self.tls = tls
        self.loglevel = loglevel
        self.directives = directives
        self.port = free_port()
        self.tls_port = free_port() if tls else None
        self.htdocs = os.path.join(self.dir, "htdocs")
        self.cgi_bin = os.path.join(self.dir, "cgi-bin")
        for folder in (self.dir, self.htdocs, self.cgi_bin):
            os.makedirs(folder, exist_ok=True)
            os.chmod(folder, 0o755)
        self.file("mime.types", "text/html html\ntext/plain txt\n", self.dir)
        self.log = Log(os.path.join(self.dir, "error_log"))
        if tls:
            self._make_certificate()

    # ---- where it is

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def tls_url(self):
        return f"https://127.0.0.1:{self.tls_port}"

    # ---- what it serves

    def file(self, name, text, folder=None, mode=0o644):
        """Write a file under htdocs (or another folder); returns its path."""
        path = os.path.join(folder or self.htdocs, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def cgi(self, name, script):
        """Write an executable at /cgi-bin/<name>."""
        return self.file(name, script, self.cgi_bin, 0o755)

    def _make_certificate(self):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
             "-subj", "/CN=localhost", "-addext",
             "basicConstraints=critical,CA:FALSE", "-addext",
             "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout",
             os.path.join(self.dir, "key.pem"), "-out",
             os.path.join(self.dir, "cert.pem")],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    # ---- its configuration

    def _load_lines(self):
        names = [f"mpm_{self.mpm}"] + STOCK
        if self.tls:
            names.append("ssl")
        names += [n for n in self.modules if n not in names]
        lines = []
        for n in names:
            if n in compiled_in():
                continue
            path = n if "/" in n else f"{module_folder()}/mod_{n}.so"
            stem = re.sub(r"^mod_|\.so$", "", os.path.basename(path))
            lines.append(f"LoadModule {stem}_module {path}")
        for n in self.own:
            lines.append(f"LoadModule {n}_module {our_module(n)}")
        return lines

    def _log_levels(self):
        if self.loglevel:
            return self.loglevel
        return " ".join(["warn"] + [f"{n}:debug" for n in self.own])

    def _prelude(self):
        d = self.dir
        lines = [f'ServerRoot "{d}"', f"Listen 127.0.0.1:{self.port}",
                 "ServerName 127.0.0.1", f'PidFile "{d}/httpd.pid"',
                 f'DefaultRuntimeDir "{d}"', f'ErrorLog "{d}/error_log"']
        lines += self._load_lines()
        account = servers_account()
        if account:
            lines += [f"User {account[0]}", f"Group {account[1]}"]
        lines += [
            f"LogLevel {self._log_levels()}",
            # spares enough for tests, few enough to start fast
            "StartServers 2",
            "ServerLimit 8", "MaxRequestWorkers 200"
            if self.mpm == "prefork" else "MaxRequestWorkers 100",
            f'LogFormat "{BEGAN} %m %U %>s '
            f'reason=%{{CLONE_REASON}}e was=%{{WAS}}e '
            f'route=%{{BALANCER_WORKER_ROUTE}}e '
            f'changed=%{{BALANCER_ROUTE_CHANGED}}e '
            f'load=%{{SESSION_HA_LOAD}}e copies=%{{SESSION_HA_COPIES}}e '
            f'save=%{{SESSION_HA_SAVE}}e usec=%D" tests',
            f'CustomLog "{d}/access_log" tests',
            f'DocumentRoot "{self.htdocs}"',
            f'ScriptAlias /cgi-bin/ "{self.cgi_bin}/"',
            f'TypesConfig "{d}/mime.types"',
        ]
        if self.mpm == "prefork":
            lines[lines.index("ServerLimit 8")] = "ServerLimit 200"
        else:
            lines += ["ThreadsPerChild 25", "ThreadLimit 64"]
        if self.tls:
            lines += [f"Listen 127.0.0.1:{self.tls_port}",
                      f"SSLSessionCache shmcb:{d}/tls_cache(65536)",
                      f'SSLCertificateFile "{d}/cert.pem"',
                      f'SSLCertificateKeyFile "{d}/key.pem"']
        return lines

    def _tls_host(self):
        return (f"<VirtualHost 127.0.0.1:{self.tls_port}>\n"
                f"ServerName localhost\nSSLEngine on\n</VirtualHost>\n")

    def write_conf(self, conf=None, extra=""):
        """Write the configuration file; returns its path."""
        if conf is not None:
            self.conf = conf
        text = "\n".join(self._prelude()) + "\n" + self.conf + "\n" + extra
        if self.tls and str(self.tls_port) not in self.conf:
            text += "\n" + self._tls_host()
        path = os.path.join(self.dir, "httpd.conf")
        with open(path + ".new", "w") as f:
            f.write(text)
        os.rename(path + ".new", path)
        return path

    def _argv(self, path):
        argv = [httpd_binary(), "-d", self.dir, "-f", path]
        return argv + shlex.split(self.directives)

    def configtest(self, extra_conf=""):
        """httpd -t with these lines added; returns (exit, text).

        Errors found in post_config only show when the server starts.
        """
        path = self.write_conf(extra=extra_conf)
        checked = path + ".checked"
        os.rename(path, checked)
        self.write_conf()
        done = subprocess.run(self._argv(checked) + ["-t"], text=True,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        return done.returncode, done.stdout

    # ---- its life

    def _starts(self):
        return sum(UP in line for _, line in self.log.all())

    def start(self):
        """Start, and return when children serve; RuntimeError says why not.
        """
        path = self.write_conf()
        before = self._starts()
        with open(os.path.join(self.dir, "stderr"), "w+") as err:
            self.spawn(self._argv(path) + ["-DFOREGROUND"], stdout=err,
                       stderr=err)

            def up():
                if not self.is_running():
                    err.seek(0)
                    raise RuntimeError(
                        f"{self.name} did not start:\n{err.read()}"
                        f"{self.log.text[-4000:]}")
                return self._starts() > before

            wait_until(up, 30, f"start of {self.name}")
        return self

    def refuses_to_start(self):
        """Start a server that must refuse; returns all it said."""
        try:
            self.start()
        except RuntimeError as e:
            self.child = None
            self.log.allow("")
            return str(e)
        raise AssertionError(f"{self.name} started")

    def kill9(self):
        """kill -9 parent and children, as a power cut would.

        The pid file goes with it: httpd warns about one it finds.
        """
        super().kill9()
        try:
            os.unlink(os.path.join(self.dir, "httpd.pid"))
        except FileNotFoundError:
            pass

    def graceful(self, conf=None):
        """Re-read the configuration; returns when the new one serves, with the
        pids of all children of before, who may answer for a moment yet."""
        self.write_conf(conf)
        starts = self._starts()
        before = set(self.children())

        def serves():
            # New ones come only after the line that is counted here; the
            # parent may start another one of the old until it hears us.
            found = self.children()
            if self._starts() > starts:
                return True
            before.update(found)
            return False

        self.child.send_signal(signal.SIGUSR1)
        wait_until(serves, 30, "graceful restart")
        return before

    def children(self):
        """Pids of the children, as long as the parent lives."""
        with open(f"/proc/{self.pid}/task/{self.pid}/children") as f:
            return [int(word) for word in f.read().split()]

    def leftovers(self):
        """What the server must not have said; read after stop()."""
        return self.log.unannounced()

    # ---- requests

    def client(self, tls=False, **kw):
        """A kept-alive connection."""
        return Client(self.tls_port if tls else self.port, tls=tls, **kw)

    def request(self, method, path, tls=False, timeout=30, **kw):
        """One request on its own connection; see Client.request."""
        with self.client(tls, timeout=timeout) as c:
            return c.request(method, path, **kw)

    def get(self, path="/", **kw):
        return self.request("GET", path, **kw)

    def post(self, path, **kw):
        return self.request("POST", path, **kw)

    def lines(self, name):
        """The lines of a log whose format begins with BEGAN, without that, in
        the order in which the requests began: a line is written after the
        answer, when the next request may have been served already."""
        try:
            with open(os.path.join(self.dir, name)) as f:
                found = [line.partition(" ") for line in f if line[-1] == "\n"]
        except FileNotFoundError:
            return []
        found.sort(key=lambda line: int(line[0]))
        return [text.rstrip("\n") for _, _, text in found]

    def wait_lines(self, name, count, timeout=5):
        """lines(name) but those that are "-", once there are that many."""
        def said():
            found = [line for line in self.lines(name) if line != "-"]
            return found if len(found) >= count else None
        return wait_until(said, timeout, f"{count} lines in {name}")

    @property
    def access(self):
        """access_log as dicts: method, path, status, reason, was, route,
        changed, load, copies, save, usec; '-' became None."""
        result = []
        form = re.compile(r"(?P<method>\S+) (?P<path>.*?) (?P<status>\d+) "
                          r"reason=(?P<reason>.*?) was=(?P<was>.*?) "
                          r"route=(?P<route>.*?) changed=(?P<changed>.*?) "
                          r"load=(?P<load>.*?) copies=(?P<copies>.*?) "
                          r"save=(?P<save>.*?) usec=(?P<usec>\d+)$")
        for line in self.lines("access_log"):
            found = form.match(line)
            if found:
                result.append({k: None if v == "-" else v
                               for k, v in found.groupdict().items()})
        return result

    def wait_access(self, count, timeout=5):
        """access_log entries, once there are that many. Say how many requests
        there were: of fewer, any may be missing."""
        return wait_until(
            lambda: self.access if len(self.access) >= count else None,
            timeout, f"{count} lines in access_log")
