# SPDX-License-Identifier: Apache-2.0
"""Pairs of real Jetty and of real gunicorn behind the router."""

import pytest

from app_server import (pair, routed, sessions_stay_fail_over_and_return,
                        visit)
from client import Jar
from other_servers import Gunicorn, Jetty


@pytest.fixture
def servers(request, workdir):
    yield from pair(request.param, workdir)


@pytest.mark.parametrize("servers, profile",
                         [(Jetty, "jetty"), (Gunicorn, "tomcat")],
                         indirect=["servers"], ids=["jetty", "gunicorn"])
def test_sessions_of_other_servers_stay_fail_over_and_return(servers, httpd,
                                                             profile):
    sessions_stay_fail_over_and_return(servers,
                                       routed(servers, httpd, profile))


@pytest.mark.parametrize("servers", [Jetty], indirect=True)
def test_a_session_in_the_url_finds_its_jetty(servers, httpd):
    server = routed(servers, httpd, "jetty")
    for _ in range(4):
        jar = Jar()
        home, _ = visit(server, jar)
        path = f"/count;jsessionid={jar['JSESSIONID']}"
        for n in (2, 3):
            assert visit(server, path=path) == (home, n)
