# SPDX-License-Identifier: Apache-2.0
"""Promises broken on purpose: each function breaks one, through the nodes'
back door, and the checker must find out."""

import contextlib

from process import wait_until
from users import ALL, BASE

KIND = 2                      # the byte of a record that tells its kind
END = 3


@contextlib.contextmanager
def standstill(game):
    """No web server runs: what is changed, is changed on all nodes at once.
    """
    for server in game.world.servers:
        server.freeze()
    try:
        yield
    finally:
        for server in game.world.servers:
            server.thaw()


def items(game):
    """{(node, key): value} of all nodes."""
    with standstill(game):
        return {(node, key): node.get(key) for node in game.world.nodes
                for key in node.keys()}


def is_end(value):
    return value is not None and value[KIND] == END


def put_back(game, before, is_victim):
    """Items that have changed become what they were; how many."""
    done = 0
    with standstill(game):
        for (node, key), value in before.items():
            now = node.get(key)
            if now != value and is_victim(value, now):
                node.set(key, value)
                done += 1
    return done


def forget(game):
    """Lost: sessions vanish from all nodes at once."""
    with standstill(game):
        for node in game.world.nodes:
            node.flush()


def roll_back(game):
    """Stale: living sessions become what they were before a change that
    somebody has seen on all nodes."""
    wait_until(lambda: any(take_back(game, user.session)
                           for user in game.party.users if user.session), 20,
               "change to be taken back")


def take_back(game, session):
    """Change a session by an attribute that nobody else writes, make it what
    it was, and look; whether a reader was shown that."""
    before = items(game)
    write = game.mender.run("write", 0, session, {"kept": ""})
    if not game.is_seen(session, 0, "2/2"):
        return False
    put_back(game, before, lambda value, now: now and not is_end(now))
    op = game.mender.run("read", 1, session, {})
    return op.load == "hit" and op.seen.get("kept") != write.sets["kept"]


def revive(game):
    """Revived: sessions that were logged out are put back."""
    wait_until(lambda: bring_back(game), 20, "session to be back")


def bring_back(game):
    """Log in and out, put back what was there in between, and look; whether a
    reader was shown that."""
    session = game.mender.run("login", 0, None, {BASE: ""}).created
    if session is None or not game.is_seen(session, 1, "2/2"):
        return False
    before = items(game)
    game.mender.run("logout", 0, session, dict.fromkeys(ALL))
    if game.mender.run("read", 0, session, {}).load != "miss":
        return False
    put_back(game, before, lambda value, now: is_end(now)
             and not is_end(value))
    return any(game.mender.run("read", host, session, {}).load == "hit"
               for host in range(2))


def write_unseen(game):
    """Unwritten: somebody writes behind the history's back."""
    wait_until(lambda: write_one(game), 20, "value that nobody wrote")


def write_one(game):
    """Log in, write as no user does, and look; whether a reader was shown
    that."""
    session = game.mender.run("login", 0, None, {BASE: ""}).created
    if session is None:
        return False
    game.world.servers[0].get("/s/page", headers={
        "Cookie": f"HASESSION={session.cookie}", "X-Do": "a=rogue"})
    op = game.mender.run("read", 1, session, {})
    return op.load == "hit" and op.seen.get("a") == "rogue"


KINDS = {"lost": forget, "stale": roll_back, "revived": revive,
         "unwritten": write_unseen}
