# SPDX-License-Identifier: Apache-2.0
"""Who routes in the router bench, and the clones behind.

Each router is a web server of its own before the same clones (clone.c), set up
as its manual says for sessions that stay where they began, with checks and
retries that let it keep up with clones that die: what it can do, not what it
does when nobody asks.
"""

import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "http"))

from httpd import Httpd, documented                           # noqa: E402
from process import (Process, free_port, is_open,             # noqa: E402
                     servers_account, wait_until)

# All children from the start, none ended for being idle, and threads enough
# for all clients and their kept-alive connections.
COMMON = """
StartServers 2
ThreadLimit 100
ThreadsPerChild 100
MaxRequestWorkers 200
MinSpareThreads 1
MaxSpareThreads 400
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 120
"""
# What is off unless asked for, and on when everything is; of these, what the
# module has.
EVERYTHING = """
ProxyClonePrivateHeaders On
ProxyCloneHeaderRemoval all
ProxyCloneRetryStatus 503
ProxyCloneDrainDeadline 10m
ProxyCloneExplain "%{REQUEST_STATUS} -ge 500"
"""
THREADS = 2
WITHOUT_MOD_JK = (
    "mod_jk is not here: it speaks AJP alone, which the clones of this bench "
    "do not, and before a Tomcat one would measure Tomcat.")


def spread(pattern, members, **more):
    return "".join(pattern.format(id=m.id, port=m.port, **more)
                   for m in members)


# ---- clones ------------------------------------------------------------------

class Member:
    """What a router knows of a clone."""

    def __init__(self, clone_id):
        self.id = clone_id
        self.port = free_port()


class Clones(Process):
    """One process that is all of some members."""

    def __init__(self, tools, members):
        super().__init__()
        self.tools = tools
        self.members = members

    def start(self):
        self.spawn([os.path.join(self.tools, "clone")]
                   + [f"{m.id}:{m.port}" for m in self.members],
                   stdout=subprocess.DEVNULL)
        wait_until(lambda: not self.is_running()
                   or is_open(self.members[-1].port), 10, "clones")
        if not self.is_running():
            raise RuntimeError("the clones did not start")
        return self


# ---- routers -----------------------------------------------------------------

class Router:
    """One way to route, as a load and a table see it."""

    name = ""
    title = ""
    path = "/app"
    cookie = "JSESSIONID=first.{id}"       # sends a new visitor to a clone
    first = ()
    moves_once = False     # a session, from where it began to its place
    program = None         # None is httpd
    port = 0

    @classmethod
    def is_here(cls):
        return cls.program is None or shutil.which(
            cls.program, path=os.environ["PATH"] + ":/usr/sbin:/sbin")

    def start(self, folder, members):
        folder = os.path.join(folder, self.name)
        os.mkdir(folder)
        os.chmod(folder, 0o755)
        self.first = [",".join(self.cookie.format(id=m.id) for m in members)]
        return self.open(folder, members)

    def open(self, folder, members):
        raise NotImplementedError

    def stop(self):
        raise NotImplementedError

    def processes(self):
        raise NotImplementedError

    def complaints(self):
        """What it had to say, worth a line in the report."""
        return []


class Balancer(Router):
    """httpd with mod_proxy_balancer."""

    own = ()
    inside = ""
    outside = ""

    def open(self, folder, members):
        lines = spread("BalancerMember http://127.0.0.1:{port} route={id} "
                       "retry=1\n", members)
        conf = (f"{COMMON}{self.outside}<Proxy balancer://shop>\n{lines}"
                "ProxySet stickysession=JSESSIONID|jsessionid\n"
                f"{self.inside}</Proxy>\nProxyPass / balancer://shop/\n")
        self.httpd = Httpd(folder, conf, own=self.own, loglevel="warn",
                           name=self.name).start()
        self.port = self.httpd.port
        return self

    def stop(self):
        self.httpd.stop()

    def processes(self):
        return [self.httpd]

    def complaints(self):
        return self.httpd.log.lines("crit")


class Stock(Balancer):
    name = "stock"
    title = "mod_proxy_balancer, stock"


class Ours(Balancer):
    name = "ours"
    title = "mod_proxy_balancer_clone, everything on"
    path = "/was"
    cookie = "JSESSIONID=0000first:{id}"
    own = ("proxy_balancer_clone",)
    inside = "ProxyCloneRouting On\n"
    outside = "".join(
        line + "\n" for line in EVERYTHING.split("\n")
        if line.partition(" ")[0] in documented("mod_proxy_balancer_clone"))


class Bare(Ours):
    name = "bare"
    title = "mod_proxy_balancer_clone, as it comes"
    outside = ""


class OfPackage(Router, Process):
    """A server that a package brings, in the foreground."""

    def __init__(self):
        Process.__init__(self)

    def config(self, folder, members):
        raise NotImplementedError

    def command(self, path):
        raise NotImplementedError

    def open(self, folder, members):
        self.port = free_port()
        path = os.path.join(folder, "conf")
        with open(path, "w") as f:
            f.write(self.config(folder, members))
        self.log = os.path.join(folder, "log")
        program = shutil.which(self.program, path=os.environ["PATH"]
                               + ":/usr/sbin:/sbin")
        with open(self.log, "w") as log:
            self.spawn([program, *self.command(path)], stdout=log, stderr=log)
        wait_until(lambda: not self.is_running() or is_open(self.port), 20,
                   f"answer from {self.program}")
        if not self.is_running():
            with open(self.log) as log:
                raise RuntimeError(f"{self.program}: {log.read()[-2000:]}")
        return self

    def stop(self):
        Process.stop(self)

    def processes(self):
        return [self]


class Haproxy(OfPackage):
    name = "haproxy"
    title = "HAProxy"
    cookie = "ROUTE={id}"
    program = "haproxy"

    def config(self, folder, members):
        return (f"""global
    nbthread {THREADS}
    maxconn 4000
defaults
    mode http
    timeout connect 1s
    timeout client 120s
    timeout server 30s
    timeout check 1s
    option redispatch 1
    retries 3
    retry-on all-retryable-errors
frontend shop
    bind 127.0.0.1:{self.port}
    default_backend clones
backend clones
    balance roundrobin
    cookie ROUTE insert indirect nocache
    default-server check inter 500ms fall 1 rise 1
""" + spread("    server {id} 127.0.0.1:{port} cookie {id}\n", members))

    def command(self, path):
        return ["-db", "-f", path]


class Nginx(OfPackage):
    """Sticky by a map from the end of the cookie to an upstream whose first
    server is the clone and whose others stand by."""

    name = "nginx"
    title = "nginx"
    program = "nginx"

    def config(self, folder, members):
        account = servers_account()
        user = f"user {account[0]} {account[1]};\n" if account else ""
        temporary = "".join(f"    {kind}_temp_path {folder}/{kind};\n"
                            for kind in ("client_body", "proxy", "fastcgi",
                                         "uwsgi", "scgi"))
        server = "        server 127.0.0.1:{port} max_fails=1 fail_timeout=1s"
        pools = ("    upstream all {\n        zone all 64k;\n"
                 + spread(server + ";\n", members)
                 + "        keepalive 64;\n    }\n")
        for mine in members:
            others = [m for m in members if m is not mine]
            pools += (f"    upstream to_{mine.id} {{\n"
                      f"        zone to_{mine.id} 64k;\n"
                      + spread(server + ";\n", [mine])
                      + spread(server + " backup;\n", others)
                      + "        keepalive 64;\n    }\n")
        routes = spread('        "~\\.{id}$" to_{id};\n', members)
        return f"""{user}worker_processes {THREADS};
daemon off;
pid {folder}/pid;
error_log {folder}/error_log crit;
events {{
    worker_connections 4000;
}}
http {{
{temporary}    access_log {folder}/access_log;
    keepalive_timeout 120s;
    keepalive_requests 100000000;
    map $cookie_JSESSIONID $pool {{
        default all;
{routes}    }}
{pools}    server {{
        listen 127.0.0.1:{self.port} backlog=1024;
        location / {{
            proxy_pass http://$pool;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_connect_timeout 1s;
        }}
    }}
}}
"""

    def command(self, path):
        return ["-c", path]


ALL = (Stock, Ours, Bare, Haproxy, Nginx)
