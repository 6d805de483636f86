# SPDX-License-Identifier: Apache-2.0
"""Two zones of two nodes, a web server in each: far copies, lost zones."""

import re
import signal

import pytest

from client import Jar
from process import wait_until
from session_site import HERE, Site, nodes_conf, secret_file

ZONES = ["east", "west", "east", "west"]
STATUS = """
<Location /status>
SetHandler server-status
</Location>
"""


class Cluster:
    """Web servers east and west over nodes of both zones."""

    def __init__(self, httpd, workdir, nodes, writes):
        self.nodes = nodes
        common = nodes_conf(nodes, secret_file(workdir), ZONES)
        self.sites = {}
        for zone in ("east", "west"):
            self.sites[zone] = Site(httpd(
                f"{common}\nSessionHAZone {zone}\n"
                f"SessionHAFarWrites {writes}\nSessionHATimeBudget 1s\n"
                f"SessionHA On\n{HERE}\n{STATUS}"))
            # what happens to a zone is told, node by node
            self.sites[zone].log.allow("HA0211|HA0212|HA0213|HA0222|HA0406")
        self.east, self.west = self.sites["east"], self.sites["west"]

    def zone(self, name):
        return [n for n, z in zip(self.nodes, ZONES) if z == name]

    def keys(self, zone):
        return sorted(k for n in self.zone(zone) for k in n.keys())


@pytest.fixture(params=["sync", "async"])
def cluster(httpd, workdir, memcacheds, request):
    return Cluster(httpd, workdir, memcacheds(4), request.param)


@pytest.fixture
def later(httpd, workdir, memcacheds):
    return Cluster(httpd, workdir, memcacheds(4), "async")


def figures(site):
    """mod_status's figures of far copies."""
    text = site.server.get("/status?auto").text
    return {name: int(value) for name, value
            in re.findall(r"^SessionHAFar(\w+): (\d+)$", text, re.M)}


def wait_until_brought(site):
    wait_until(lambda: figures(site)["Waiting"] == 0, 20,
               "an empty queue of far copies")


def last_save(site, count):
    return site.server.wait_access(count)[count - 1]["save"]


def many(site, count=4):
    """Browsers with a session each: more than one placement."""
    jars = [Jar() for _ in range(count)]
    for i, jar in enumerate(jars):
        assert site.set(jar, user=i).status == 200
    return jars


def use(site, jars, **more):
    """Change and read every session; what it is given must be all of it."""
    for i, jar in enumerate(jars):
        name, = more
        assert site.set(jar, **{name: i}).status == 200
        told = site.session(jar)
        assert told["user"] == told[name] == str(i), told


def ready(site, jars):
    """Until nodes that are gone are known to be."""
    def is_fine():
        return all(site.server.get("/cgi-bin/app", jar=jar).status == 200
                   for jar in jars)
    wait_until(is_fine, 30, "answers while a zone is away")


@pytest.mark.parametrize("end", ["kill9", "freeze"])
def test_a_lost_zone_leaves_every_session(cluster, end):
    jars = many(cluster.east)
    wait_until_brought(cluster.east)
    for site in cluster.sites.values():
        site.log.allow("HA0304|HA0305|HA0306|HA0401")
    for node in cluster.zone("east"):
        getattr(node, end)()
    for site in cluster.sites.values():
        ready(site, jars)
    use(cluster.west, jars, west=0)
    use(cluster.east, jars, east=0)
    for node in cluster.zone("east"):
        node.thaw() if end == "freeze" else node.start()
    use(cluster.east, jars, back=0)
    assert cluster.west.session(jars[0])["back"] == "0"


def test_async_saves_wait_for_their_zone_and_all_arrives(later):
    jars = many(later.east)
    saves = {e["save"] for e in later.east.server.wait_access(len(jars))}
    assert saves == {"1/2 async"}
    wait_until_brought(later.east)
    assert later.keys("east") == later.keys("west")
    assert len(later.keys("west")) == len(jars)
    told = figures(later.east)
    assert told["Sent"] >= len(jars) and told["Dropped"] == 0
    use(later.west, jars, there=1)
    wait_until_brought(later.west)
    assert later.east.session(jars[0])["there"] == "0"
    page = later.east.server.get("/status").text
    assert "Far copies: 0 changes wait (0 bytes, the oldest for 0 s), " in page


def test_a_session_in_use_is_read_in_this_zone(later):
    def copies():
        # nodes are believed about sessions that began behind the start
        jar = Jar()
        later.east.set(jar, a=1)
        wait_until_brought(later.east)
        return later.east.told(jar)["copies"], later.west.told(jar)["copies"]
    wait_until(lambda: copies() == ("1/2 near", "2/2"), 20,
               "a read of this zone alone where the session is known")


def test_a_zone_that_is_away_gets_all_when_it_is_back(later):
    jars = many(later.east)
    wait_until_brought(later.east)
    for node in later.zone("west"):
        node.freeze()
    for name in ("a", "b", "c"):
        for i, jar in enumerate(jars):
            later.east.set(jar, **{name: i})
    told = figures(later.east)
    assert told["Waiting"] > 0 and told["Bytes"] > 0
    for node in later.zone("west"):
        node.thaw()
    wait_until_brought(later.east)
    assert figures(later.east)["Dropped"] == 0
    for node in later.zone("east"):
        node.kill9()
    later.west.log.allow("HA0304|HA0305|HA0306")
    ready(later.west, jars)
    for i, jar in enumerate(jars):
        told = later.west.session(jar)
        assert told == {"user": str(i), "a": str(i), "b": str(i),
                        "c": str(i)}


def test_a_logout_reaches_a_zone_that_was_away(later, jar):
    later.east.set(jar, user="ada")
    wait_until_brought(later.east)
    stolen = Jar(jar)
    for node in later.zone("west"):
        node.freeze()
    later.east.set(jar, user="")
    assert not jar
    for node in later.zone("west"):
        node.thaw()
    wait_until_brought(later.east)
    for node in later.zone("east"):
        node.kill9()
    later.west.log.allow("HA0304|HA0305|HA0306")
    ready(later.west, [stolen])
    assert later.west.session(Jar(stolen)) == {}


def stop(server):
    """Gracefully under event, whose children can die of a race of httpd's
    own at SIGTERM (httpd.py, STOP_RACE), with all that they queued."""
    if server.mpm == "event":
        server.child.send_signal(signal.SIGWINCH)
        wait_until(lambda: not server.is_running(), 30, "end of httpd")
    server.stop()


@pytest.mark.every_mpm
@pytest.mark.parametrize("end", ["graceful", "stop"])
def test_a_child_that_ends_brings_what_waits(later, end):
    jars = many(later.east)
    for i, jar in enumerate(jars):
        later.east.set(jar, last=i)
    if end == "graceful":
        later.east.server.graceful()
        wait_until_brought(later.east)
    else:
        stop(later.east.server)
    for node in later.zone("east"):
        node.kill9()
    later.west.log.allow("HA0304|HA0305|HA0306")
    ready(later.west, jars)
    for i, jar in enumerate(jars):
        assert later.west.session(jar) == {"user": str(i), "last": str(i)}


def test_a_child_that_cannot_bring_its_queue_says_so(later, jar):
    later.east.set(jar, a=1)
    wait_until_brought(later.east)
    for node in later.zone("west"):
        node.kill9()
    later.east.set(jar, b=1)
    stop(later.east.server)
    later.east.log.expect("HA0222")
    later.east.log.allow("HA0220")
