# SPDX-License-Identifier: Apache-2.0
"""Two real Tomcat 10 behind the router, with the profile tomcat."""

import pytest

from app_server import (pair, routed, sessions_stay_fail_over_and_return,
                        visit)
from client import Jar
from tomcat import Tomcat


@pytest.fixture
def tomcats(workdir):
    """Two running instances, by route."""
    yield from pair(Tomcat, workdir)


@pytest.fixture
def server(tomcats, httpd):
    return routed(tomcats, httpd, "tomcat")


def test_tomcat_sessions_stay_fail_over_and_return(tomcats, server):
    sessions_stay_fail_over_and_return(tomcats, server)


def test_a_session_in_the_url_finds_its_tomcat(tomcats, server):
    for _ in range(4):
        jar = Jar()
        home, _ = visit(server, jar, Tomcat.page)
        path = f"/count.jsp;jsessionid={jar['JSESSIONID']}"
        for n in (2, 3, 4):
            assert visit(server, path=path) == (home, n)
