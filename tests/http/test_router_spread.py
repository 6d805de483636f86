# SPDX-License-Identifier: Apache-2.0
"""Where the sessions of a dead clone go: to the same clone through every
router, to each of the others alike, and nobody else's session moves.

The clones are pages of one web server, which is fast enough for ten
thousand sessions; which of them was asked is the router's own word for it."""

import re
import socket
import threading

from process import free_port
from router import OWN, allow_dead

DEAD = "A"
LIVING = "BCDE"
SESSIONS = 10000
BATCH = 100
ROUTED = re.compile(rb"\r\nX-route: (\w)\r\n")


def batch_of(cookies):
    """What a client sends who waits for no answer before the next request."""
    return b"".join(
        f"GET /page HTTP/1.1\r\nHost: localhost\r\n"
        f"Cookie: JSESSIONID={value}\r\n\r\n".encode() for value in cookies)


def routes(server, cookies):
    """The clone that was asked for each of these sessions."""
    found = []
    with socket.create_connection(("127.0.0.1", server.port), 60) as s:
        for at in range(0, len(cookies), BATCH):
            part = cookies[at:at + BATCH]
            s.sendall(batch_of(part))
            got = b""
            while len(ROUTED.findall(got)) < len(part):
                more = s.recv(1 << 16)
                assert more, f"closed after {got[-200:]!r}"
                got += more
            assert got.count(b"HTTP/1.1 200 OK\r\n") == len(part)
            found += [m.decode() for m in ROUTED.findall(got)]
    return found


def at_once(servers, cookies):
    """routes() through all servers at the same time."""
    results = [None] * len(servers)

    def ask(i):
        results[i] = routes(servers[i], cookies)

    threads = [threading.Thread(target=ask, args=(i,))
               for i in range(len(servers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert None not in results
    return results


def make_routers(httpd):
    """Three, who list the clones in different orders; DEAD is nobody's port."""
    backend = httpd("MaxKeepAliveRequests 0\n", own=())
    lines = [f"BalancerMember http://127.0.0.1:{free_port()} route={DEAD} "
             "retry=600\n"]
    for clone in LIVING:
        backend.file(f"{clone}/page", "here")
        lines.append(f"BalancerMember {backend.url}/{clone} route={clone}\n")
    routers = []
    for turn in (0, 2, 4):
        members = "".join(lines[turn:] + lines[:turn])
        routers.append(httpd(
            "MaxKeepAliveRequests 0\n"
            'Header always set X-route "%{BALANCER_WORKER_ROUTE}e"\n'
            f"<Proxy balancer://shop>\n{members}"
            "ProxySet stickysession=JSESSIONID|jsessionid\n"
            "ProxyCloneRouting On\n</Proxy>\nProxyPass / balancer://shop/\n",
            own=OWN))
        allow_dead(routers[-1])
    return routers


def test_three_routers_spread_a_dead_clones_sessions_alike(httpd):
    routers = make_routers(httpd)
    ids = [f"0000session{n:05d}qrst" for n in range(SESSIONS)]
    first, second, third = at_once(routers, [f"{i}:{DEAD}" for i in ids])
    assert first == second == third
    assert set(first) == set(LIVING)
    even = SESSIONS / len(LIVING)
    for clone in LIVING:
        assert abs(first.count(clone) - even) <= 0.05 * even, clone


def test_a_dead_clone_moves_no_session_of_the_others(httpd):
    routers = make_routers(httpd)
    homes = [LIVING[n % len(LIVING)] for n in range(1000)]
    cookies = [f"0000session{n:05d}qrst:{home}:{DEAD}"
               for n, home in enumerate(homes)]
    # somebody finds out that it is dead
    assert DEAD not in at_once(routers, [f"0000s{n}:{DEAD}"
                                         for n in range(10)])[0]
    assert at_once(routers, cookies) == [homes] * 3
