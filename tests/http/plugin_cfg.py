# SPDX-License-Identifier: Apache-2.0
"""plugin-cfg.xml as WebSphere's tools write it, over clones of backend.py."""

import os
import re
from xml.sax.saxutils import quoteattr

from process import wait_until


def tag(name, inside="", **attributes):
    text = "".join(f" {k}={quoteattr(str(v))}" for k, v in attributes.items())
    return f"<{name}{text}>{inside}</{name}>\n" if inside else \
        f"<{name}{text}/>\n"


def server(clone, transports=None, name=None, **attributes):
    """A Server element; transports: [("https", port)], of the clone's own
    port by http unless told."""
    attributes.setdefault("ConnectTimeout", 5)
    inside = "".join(tag("Transport", Hostname="127.0.0.1", Port=port,
                         Protocol=protocol)
                     for protocol, port in transports
                     or [("http", clone.port)])
    return tag("Server", inside, Name=name or f"node_{clone.id}",
               CloneID=clone.id, **attributes)


def names(element, clones):
    return tag(element, "".join(tag("Server", Name=f"node_{c.id}")
                                for c in clones)) if clones else ""


def cluster(name, servers, primary=(), backup=(), **attributes):
    attributes.setdefault("RetryInterval", 1)
    return tag("ServerCluster", "".join(servers)
               + names("PrimaryServers", primary)
               + names("BackupServers", backup), Name=name, **attributes)


def hosts(name, *host_ports):
    return tag("VirtualHostGroup", "".join(tag("VirtualHost", Name=h)
                                           for h in host_ports), Name=name)


def uris(name, *patterns, cookie="JSESSIONID", url_id="jsessionid"):
    return tag("UriGroup", "".join(
        tag("Uri", Name=p, AffinityCookie=cookie,
            AffinityURLIdentifier=url_id) for p in patterns), Name=name)


def route(cluster_name, uri_group="URIs", host_group="hosts"):
    return tag("Route", ServerCluster=cluster_name, UriGroup=uri_group,
               VirtualHostGroup=host_group)


def config(*parts, **attributes):
    attributes.setdefault("RefreshInterval", 0)
    return ('<?xml version="1.0" encoding="UTF-8"?>\n'
            + tag("Config", "\n" + "".join(parts), **attributes))


def simple(clones, weights=None, patterns=("/shop/*",), drop=(), name="Shop",
           every=0, limits=None, **attributes):
    """One cluster of all clones but those dropped, for any host."""
    kept = [c for c in clones.values() if c.id not in drop]
    weights = weights or {}
    return config(
        hosts("hosts", "*:*"), uris("URIs", *patterns),
        cluster(name, [server(c, LoadBalanceWeight=weights.get(c.id, 20),
                              MaxConnections=(limits or {}).get(c.id, -1))
                       for c in kept], primary=kept, **attributes),
        route(name), RefreshInterval=every)


class PluginFile:
    """The file, edited as tools do it: a new one takes the old one's name."""

    def __init__(self, folder, text):
        self.path = os.path.join(folder, "plugin-cfg.xml")
        self.write(text)

    def write(self, text):
        data = text if isinstance(text, bytes) else text.encode()
        with open(self.path + ".new", "wb") as f:
            f.write(data)
        os.chmod(self.path + ".new", 0o644)
        os.rename(self.path + ".new", self.path)

    @property
    def directive(self):
        return f'ProxyCloneConfig "{self.path}"\n'

    def change(self, server, text):
        """Write, and wait until it is in effect in every child."""
        self.write(text)
        line = server.log.expect("CR0410", timeout=10)
        edition = re.search(r"edition (\d+)", line).group(1)

        def followed():
            done = {re.search(r"\[pid (\d+)", l).group(1)
                    for _, l in server.log.all()
                    if re.search(rf"CR04(10|09): .* edition {edition}\b", l)}
            return {str(pid) for pid in server.children()} <= done

        wait_until(followed, 10, f"edition {edition} in all children")

    def spoil(self, server, text, wanted):
        """Write what is refused, and wait until the server says so."""
        self.write(text)
        return server.log.expect(f"CR0411: .*{wanted}", timeout=10)


def settled(ask, wanted, what, timeout=10):
    """Wait until several answers in a row are right: after a graceful
    restart children of before may still take a connection."""
    def look():
        return all(ask() == wanted for _ in range(6))

    wait_until(look, timeout, what)
