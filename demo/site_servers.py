# SPDX-License-Identifier: Apache-2.0
"""The eight servers of the demonstration, each startable and killable."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "tests", "http"))

from httpd import compiled_in, httpd_binary, module_folder  # noqa: E402
from memcached import Memcached                             # noqa: E402
from process import (Process, free_port, group_of, is_alive,  # noqa: E402
                     is_open, servers_account, wait_until)
import secrets                                              # noqa: E402
import signal                                               # noqa: E402

STOCK = """mpm_event unixd log_config authz_core authz_host headers env
    include status watchdog slotmem_shm socache_shmcb proxy proxy_http
    proxy_balancer lbmethod_byrequests session""".split()
OURS = ("session_ha", "proxy_balancer_clone")
UP = "resuming normal operations"


class Node(Memcached):
    """A memcached that holds sessions."""

    role = "memcached"

    def kill_command(self):
        return f"kill -9 {self.pid}"


class Clone(Process):
    """An application server."""

    role = "clone"

    def __init__(self, name):
        super().__init__()
        self.name = name
        self.port = free_port()

    def start(self):
        self.spawn([sys.executable, "-I", "-S", "-c",
                    "import runpy, sys; sys.path.insert(0, sys.argv[1]); "
                    "sys.argv[0:2] = []; "
                    "runpy.run_path(sys.argv[0], run_name='__main__')",
                    HERE, os.path.join(HERE, "shop.py"), str(self.port),
                    self.name])
        wait_until(self._answers, 10, f"answer from clone {self.name}")
        return self

    def _answers(self):
        if not self.is_running():
            raise RuntimeError(f"clone {self.name} ended at once")
        return is_open(self.port)

    def kill_command(self):
        return f"kill -9 {self.pid}"


class Web(Process):
    """An httpd with both modules. Its children share its process group, so
    one kill reaches all."""

    role = "web server"
    death_signal = signal.SIGTERM

    def __init__(self, name, folder, modules, defines):
        super().__init__()
        self.name = name
        self.port = free_port()
        self.folder = os.path.join(folder, name)
        self.modules = os.path.abspath(modules)
        self.defines = dict(defines, WEB=name, FOLDER=self.folder)
        os.mkdir(self.folder)
        os.chmod(self.folder, 0o755)
        self.error_log = os.path.join(self.folder, "error_log")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    def kill_command(self):
        return f"kill -9 -{self.pid}"

    def _write_conf(self):
        lines = [f'ServerRoot "{self.folder}"',
                 f"Listen 127.0.0.1:{self.port}", "ServerName 127.0.0.1",
                 f'DefaultRuntimeDir "{self.folder}"',
                 f'PidFile "{self.folder}/httpd.pid"',
                 f'ErrorLog "{self.error_log}"', "StartServers 2"]
        lines += [f"LoadModule {n}_module {module_folder()}/mod_{n}.so"
                  for n in STOCK if n not in compiled_in()]
        lines += [f"LoadModule {n}_module {self.modules}/mod_{n}.so"
                  for n in OURS]
        if servers_account():
            lines += ["User " + servers_account()[0],
                      "Group " + servers_account()[1]]
        lines += [f'Define {k} "{v}"' for k, v in self.defines.items()]
        lines.append(f'Include "{os.path.join(HERE, "httpd.conf")}"')
        path = os.path.join(self.folder, "httpd.conf")
        with open(path, "w") as f:
            f.write("\n".join(lines) + "\n")
        return path

    def log(self):
        try:
            with open(self.error_log, errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def requests_log(self):
        with open(os.path.join(self.folder, "access_log")) as f:
            return f.read().splitlines()

    def start(self):
        path = self._write_conf()
        pid_file = os.path.join(self.folder, "httpd.pid")
        if os.path.exists(pid_file):     # of a killed one
            os.unlink(pid_file)
        before = self.log().count(UP)
        with open(os.path.join(self.folder, "stderr"), "w+") as err:
            self.spawn([httpd_binary(), "-d", self.folder, "-f", path,
                        "-DFOREGROUND"], stdout=err, stderr=err)

            def up():
                if not self.is_running():
                    err.seek(0)
                    raise RuntimeError(f"{self.name} did not start, exit "
                                       f"{self.child.returncode}:\n"
                                       f"{err.read()}{self.log()[-3000:]}")
                return self.log().count(UP) > before

            wait_until(up, 30, f"start of {self.name}")
        return self


class Site:
    """All of it. Use as a context: leaving it ends every server."""

    def __init__(self, folder, modules):
        self.folder = folder
        self.nodes = [Node(name) for name in ("ada", "bell", "curie")]
        self.clones = [Clone(name) for name in "ABC"]
        secret = os.path.join(folder, "secret")
        fd = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w") as f:
            f.write(secrets.token_hex(32) + "\n")
        defines = {"SECRET": secret}
        for clone in self.clones:
            defines[f"CLONE_{clone.name}"] = clone.port
        for node in self.nodes:
            defines[f"NODE_{node.name.upper()}"] = node.port
        self.webs = [Web(name, folder, modules, defines)
                     for name in ("web1", "web2")]

    @property
    def servers(self):
        return self.webs + self.clones + self.nodes

    def __enter__(self):
        try:
            for server in self.nodes + self.clones + self.webs:
                server.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc):
        for server in self.webs + self.clones + self.nodes:
            server.stop()

    def dead(self):
        """Servers that were started and run no more."""
        return [s for s in self.servers
                if s.child is not None and not s.is_running()]

    def revive(self, server):
        """Start a killed server again: same port, nothing remembered."""
        server.kill9()      # children of a killed httpd hold its port
        server.start()

    def node_keys(self):
        """What each running memcached holds: name to set of keys."""
        return {n.name: set(n.keys()) for n in self.nodes if n.is_running()}


def leftovers(leader):
    """Processes of a group that still run."""
    return [pid for pid in group_of(leader) if is_alive(pid)]
