# SPDX-License-Identifier: Apache-2.0
"""Who keeps sessions in the bench, and the servers that they need.

Each keeper is an httpd of its own with the same application: the handlers of
mod_bench_app.c, and for PHP the same in PHP. Those that have a store elsewhere
reach it through a Network: directly, or through a relay that adds a delay.
"""

import glob
import os
import pwd
import shutil
import signal
import sqlite3
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "http"))

from httpd import Httpd                                       # noqa: E402
from memcached import Memcached                               # noqa: E402
from process import (Process, free_port, is_open,             # noqa: E402
                     servers_account, wait_until)
from session_site import secret_file                          # noqa: E402

# All children from the start, none ended for being idle, and in each threads
# enough for all clients: a child that runs out of them closes connections.
COMMON = """
StartServers 2
ThreadsPerChild 50
MaxRequestWorkers 100
MinSpareThreads 1
MaxSpareThreads 200
<Directory "/">
AllowOverride None
</Directory>
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 120
"""
# What mod_session is told is the same for every keeper that it has.
SESSION = """
Session On
SessionMaxAge 1800
SessionExpiryUpdateInterval 60
"""
DBD = """
DBDMin 1
DBDKeep 50
DBDMax 50
DBDPrepareSQL "delete from session where key = %s" deletesession
DBDPrepareSQL "update session set value = %s, expiry = %lld, key = %s where \
key = %s" updatesession
DBDPrepareSQL "insert into session (value, expiry, key) values (%s, %lld, %s)" \
insertsession
DBDPrepareSQL "select value from session where key = %s and (expiry = 0 or \
expiry > %lld)" selectsession
DBDPrepareSQL "delete from session where expiry != 0 and expiry < %lld" \
cleansession
"""
TABLE = ("create table session (key varchar(64) primary key, value text, "
         "expiry bigint)")
PHP = """<?php
session_start();
$op = $_GET['op'];
$n = (int)$_GET['n'];
if ($op == 'new') {
    $have = 101;
    for ($i = 0; $have < (int)$_GET['size']; $i++) {
        $len = min(200, (int)$_GET['size'] - $have);
        $_SESSION[sprintf('fill%03d', $i)] = str_repeat(chr(97 + $i % 26),
                                                        $len);
        $have += $len + 7;
    }
}
elseif (!isset($_SESSION['n'])) {
    http_response_code(410);
}
else if ($op == 'read') {
    $n = (int)$_SESSION['n'];
}
if ($op != 'read') {
    $_SESSION['n'] = sprintf('%08d', $n) . str_repeat('x', 92);
}
session_write_close();
header('Content-Type: text/plain');
header('Content-Length: 11');
printf("n=%08d\\n", $n);
"""
# A browser keeps 4096 bytes of a cookie; names and %xx take their part.
COOKIE_SIZE_MAX = 2048


def program(*patterns):
    for pattern in patterns:
        found = sorted(glob.glob(pattern))
        if found:
            return found[-1]
    raise RuntimeError(f"found no {patterns[0]}: make deps-bench")


# ---- the way to a store ------------------------------------------------------

class Direct:
    """Stores are reached where they are."""

    delay_usec = 0

    def to(self, port):
        return port

    def start(self):
        return self

    def stop(self):
        pass


class Relayed:
    """A process carries every byte and makes it wait, in each direction."""

    def __init__(self, tools, delay_usec):
        self.tools = tools
        self.delay_usec = delay_usec
        self.ports = {}
        self.child = None

    def to(self, port):
        """Where that port is seen from the near side; ask before start()."""
        if port not in self.ports:
            self.ports[port] = free_port()
        return self.ports[port]

    def start(self):
        pairs = [f"{near}:{port}" for port, near in self.ports.items()]
        self.child = subprocess.Popen(
            [os.path.join(self.tools, "relay"), str(self.delay_usec)] + pairs,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.child.stdout.readline() != "ready\n":
            raise RuntimeError("the relay did not start")
        return self

    def moved(self):
        """Payload bytes so far: (to the stores, back from them)."""
        self.child.stdin.write("\n")
        self.child.stdin.flush()
        up, down = self.child.stdout.readline().split()
        return int(up), int(down)

    def stop(self):
        if self.child:
            self.child.stdin.close()
            self.child.wait(10)
            self.child.stdout.close()
            self.child = None


# ---- stores ------------------------------------------------------------------

class Postgres(Process):
    """A cluster of its own, as initdb makes it, on a loopback port."""

    death_signal = signal.SIGQUIT
    name = "postgres"

    def __init__(self, folder):
        super().__init__()
        self.data = os.path.join(folder, "pgdata")
        self.port = free_port()
        self.user = {}
        if os.geteuid() == 0:
            try:
                account = pwd.getpwnam("postgres")
            except KeyError:
                account = pwd.getpwnam(servers_account()[0])
            self.user = {"user": account.pw_uid, "group": account.pw_gid,
                         "extra_groups": []}

    def program(self, name):
        return program(f"/usr/lib/postgresql/*/bin/{name}",
                       f"/usr/pgsql-*/bin/{name}", f"/usr/bin/{name}")

    def start(self):
        os.mkdir(self.data, 0o700)
        if self.user:
            os.chown(self.data, self.user["user"], self.user["group"])
        subprocess.run(
            [self.program("initdb"), "-D", self.data, "-U", "bench",
             "-A", "trust", "-E", "UTF8", "--locale=C"], check=True,
            cwd="/", stdout=subprocess.DEVNULL, **self.user)
        self.spawn([self.program("postgres"), "-D", self.data,
                    "-p", str(self.port), "-h", "127.0.0.1",
                    "-c", "unix_socket_directories=",
                    "-c", "max_connections=250"],
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   cwd="/", **self.user)
        wait_until(lambda: is_open(self.port), 30, "answer from PostgreSQL")
        wait_until(self.is_ready, 30, "PostgreSQL that takes queries")
        self.sql(TABLE)
        return self

    def psql(self, text):
        return subprocess.run(
            [self.program("psql"), "-h", "127.0.0.1", "-p", str(self.port),
             "-U", "bench", "-d", "postgres", "-qAt", "-c", text],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def is_ready(self):
        return self.psql("select 1").returncode == 0

    def sql(self, text):
        done = self.psql(text)
        if done.returncode:
            raise RuntimeError(f"psql: {done.stderr}")
        return done.stdout

    def stop(self):
        if self.is_running():
            self.child.send_signal(signal.SIGINT)       # "fast": at once
            try:
                self.child.wait(20)
            except subprocess.TimeoutExpired:
                pass
        super().stop()


class PhpFpm(Process):
    """PHP with php-memcached's session handler."""

    CHILDREN = 32

    def __init__(self, folder, name, port, is_locking):
        super().__init__()
        self.folder = folder
        self.name = name
        self.socket = os.path.join(folder, name + ".sock")
        self.settings = {
            "session.save_handler": "memcached",
            "session.save_path": f"127.0.0.1:{port}",
            "memcached.sess_locking": int(is_locking),
        }

    def start(self):
        account = servers_account()
        user = (f"user = {account[0]}\ngroup = {account[1]}\n"
                f"listen.owner = {account[0]}\n" if account else "")
        path = os.path.join(self.folder, self.name + ".conf")
        with open(path, "w") as f:
            f.write(f"[global]\nerror_log = {path}.log\n[bench]\n"
                    f"listen = {self.socket}\npm = static\n{user}"
                    f"pm.max_children = {self.CHILDREN}\n")
            for name, value in self.settings.items():
                f.write(f"php_admin_value[{name}] = {value}\n")
        self.spawn([program("/usr/sbin/php-fpm*"), "-F", "-y", path],
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: os.path.exists(self.socket), 20,
                   "socket of php-fpm")
        return self


class Stores:
    """All that keepers need behind them, started once for each phase."""

    def __init__(self, folder, wanted):
        self.folder = folder
        self.nodes = [Memcached(f"m{i + 1}", megabytes=1024) for i in range(3)]
        self.single = Memcached("single", megabytes=1024)
        self.postgres = Postgres(folder)
        self.servers = []
        if wanted & {"ha1", "ha2", "ha3"}:
            self.servers += self.nodes
        if wanted & {"plain", "php", "phplock"}:
            self.servers.append(self.single)
        if "pg" in wanted:
            self.servers.append(self.postgres)

    def start(self):
        for server in self.servers:
            server.start()
        return self

    def stop(self):
        for server in self.servers:
            server.stop()


# ---- keepers -----------------------------------------------------------------

class Keeper:
    """One way to keep sessions: an httpd, and what works for it."""

    title = ""
    modules = ()
    own = ()
    path = "/app"
    first = ()             # cookies of nobody's sessions
    is_remote = True       # a delay to the stores concerns it

    def __init__(self, name):
        self.name = name
        self.httpd = None
        self.helpers = []

    @property
    def port(self):
        return self.httpd.port

    def can_keep(self, size):
        return True

    def conf(self, folder, stores, network):
        raise NotImplementedError

    def start(self, folder, tools, stores, network):
        folder = os.path.join(folder, self.name)
        os.mkdir(folder)
        os.chmod(folder, 0o755)
        conf = COMMON + self.conf(folder, stores, network)
        app = os.path.join(os.path.abspath(tools), "mod_bench_app.so")
        self.httpd = Httpd(folder, f"LoadModule bench_app_module {app}\n"
                           + conf, own=self.own, modules=self.modules,
                           loglevel="warn", name=self.name)
        for helper in self.helpers:
            helper.start()
        self.prepare()
        self.httpd.start()
        return self

    def prepare(self):
        pass

    def stop(self):
        for server in [self.httpd] + self.helpers:
            if server:
                server.stop()

    def processes(self):
        return [self.httpd] + self.helpers


def session(inside):
    return (f"<Location /app>\nSetHandler bench-session\n{SESSION}{inside}"
            "</Location>\n")


class Nothing(Keeper):
    title = "httpd, no sessions"

    def conf(self, folder, stores, network):
        return "<Location /app>\nSetHandler bench-none\n</Location>\n"


class Plain(Keeper):
    title = "one memcached, plain get and set"

    def conf(self, folder, stores, network):
        return (f"BenchPlainPort {network.to(stores.single.port)}\n"
                "<Location /app>\nSetHandler bench-plain\n</Location>\n")


class Ours(Keeper):
    own = ("session_ha",)
    budget = "250ms"       # the default; more where only logic is tested

    def __init__(self, name, replicas):
        super().__init__(name)
        self.replicas = replicas
        self.title = (f"mod_session_ha, R = {replicas}" if replicas else
                      "mod_session_ha, shared memory")
        self.is_remote = replicas > 0

    def conf(self, folder, stores, network):
        if not self.replicas:
            return session("SessionHA On\n")
        lines = [f"SessionHAServer name={n.name} "
                 f"address=127.0.0.1:{network.to(n.port)}"
                 for n in stores.nodes]
        return "\n".join(lines + [
            f"SessionHAReplicas {self.replicas}",
            f"SessionHATimeBudget {self.budget}",
            f"SessionHASecretFile {secret_file(folder)}",
            session("SessionHA On\n")])


class Cookie(Keeper):
    title = "mod_session_cookie"
    is_remote = False

    def can_keep(self, size):
        return size <= COOKIE_SIZE_MAX

    def conf(self, folder, stores, network):
        return session("SessionCookieName bench path=/\n")


class Sqlite(Keeper):
    title = "mod_session_dbd, SQLite"
    modules = ("dbd", "session_dbd")
    is_remote = False

    def conf(self, folder, stores, network):
        self.file = os.path.join(folder, "db", "sessions.db")
        return (f"DBDriver sqlite3\nDBDParams {self.file}\n{DBD}"
                + session("SessionDBDCookieName bench path=/\n"))

    def prepare(self):
        """WAL is what makes SQLite bear readers beside a writer."""
        os.mkdir(os.path.dirname(self.file))
        db = sqlite3.connect(self.file)
        db.execute("pragma journal_mode=wal")
        db.execute(TABLE)
        db.commit()
        db.close()
        account = servers_account()
        if account:
            for path in [os.path.dirname(self.file)] + glob.glob(
                    self.file + "*"):
                shutil.chown(path, *account)


class Pg(Keeper):
    title = "mod_session_dbd, PostgreSQL"
    modules = ("dbd", "session_dbd")

    def conf(self, folder, stores, network):
        port = network.to(stores.postgres.port)
        return (f'DBDriver pgsql\nDBDParams "host=127.0.0.1 port={port} '
                f'dbname=postgres user=bench"\n{DBD}'
                + session("SessionDBDCookieName bench path=/\n"))


class Php(Keeper):
    modules = ("proxy_fcgi",)
    path = "/app.php"

    def __init__(self, name, is_locking):
        super().__init__(name)
        self.is_locking = is_locking
        self.title = "PHP, php-memcached" + (", locked" if is_locking
                                             else ", no locks")

    def conf(self, folder, stores, network):
        fpm = PhpFpm(folder, self.name, network.to(stores.single.port),
                     self.is_locking)
        self.helpers = [fpm]
        # httpd passes on a length that PHP gave when it is told to
        return ('<Files "app.php">\nSetEnv ap_trust_cgilike_cl 1\n'
                f'SetHandler "proxy:unix:{fpm.socket}'
                '|fcgi://bench"\n</Files>\n')

    def prepare(self):
        self.httpd.file("app.php", PHP)


def all_keepers():
    """Fresh ones, in the order of the table."""
    return [Nothing("none"), Cookie("cookie"), Ours("shm", 0),
            Sqlite("sqlite"), Plain("plain"), Ours("ha1", 1), Ours("ha2", 2),
            Ours("ha3", 3), Pg("pg"), Php("phplock", True),
            Php("php", False)]
