# SPDX-License-Identifier: Apache-2.0
"""The relay harms what it carries as it was told, and nothing else."""

import socket
import time

import pytest

from process import is_open, wait_until
from relay import MODES, Relay


@pytest.fixture
def node(memcacheds):
    return memcacheds(1)[0]


@pytest.fixture
def relay(node, workdir):
    r = Relay(node.port, workdir).start()
    yield r
    r.kill9()


def connect(relay):
    return socket.create_connection(("127.0.0.1", relay.port), 5)


def ask(s, line, timeout=5):
    """One line and the first piece of its answer; None for silence."""
    s.settimeout(timeout)
    s.sendall(line + b"\r\n")
    try:
        return s.recv(4096)
    except socket.timeout:
        return None


def is_over(s):
    """Whether the other side has ended this connection."""
    try:
        return s.recv(1) == b""
    except ConnectionResetError:
        return True


def test_what_passes_is_unharmed(relay):
    with connect(relay) as s:
        assert ask(s, b"set k 0 0 3\r\nabc") == b"STORED\r\n"
        assert ask(s, b"get k") == b"VALUE k 0 3\r\nabc\r\nEND\r\n"


def test_a_cut_resets_refuses_and_heals(relay):
    with connect(relay) as s:
        assert ask(s, b"version")
        relay.behave("cut")
        assert is_over(s)
    assert not is_open(relay.port)
    relay.heal()
    with connect(relay) as s:
        assert ask(s, b"version")


def test_what_stalled_arrives_late(relay, node):
    with connect(relay) as s:
        assert ask(s, b"version")
        relay.behave("stall")
        assert ask(s, b"set k 0 0 1\r\n1", timeout=0.2) is None
        assert node.get("k") is None
        s.close()                       # a sender that gave up
        relay.heal()
        wait_until(lambda: node.get("k") == b"1", 5, "the late write")


def test_a_hole_swallows_for_good(relay, node):
    relay.behave("hole")
    with connect(relay) as s:
        assert ask(s, b"set k 0 0 1\r\n1", timeout=0.2) is None
        relay.heal()
        assert is_over(s)
    assert node.get("k") is None


def test_a_mute_node_does_what_it_was_told(relay, node):
    relay.behave("mute")
    with connect(relay) as s:
        assert ask(s, b"set k 0 0 1\r\n1", timeout=0.2) is None
    wait_until(lambda: node.get("k") == b"1", 5, "the write")


@pytest.mark.parametrize("mode", ["delay 0.1", "trickle 0.02"])
def test_slow_is_slow_and_whole(relay, mode):
    relay.behave(mode)
    with connect(relay) as s:
        begun = time.monotonic()
        answer = ask(s, b"get nothing")
        while not answer.endswith(b"END\r\n"):
            answer += s.recv(4096)
        assert answer == b"END\r\n"
        assert time.monotonic() - begun > 0.08


def test_a_truncated_answer_ends_the_connection(relay):
    relay.behave("truncate")
    with connect(relay) as s:
        assert ask(s, b"get nothing") == b"EN"
        assert s.recv(10) == b""


def bits_apart(one, other):
    assert len(one) == len(other)
    return sum(bin(a ^ b).count("1") for a, b in zip(one, other))


def test_a_corrupt_answer_is_one_bit_off(relay, node):
    relay.behave("corrupt")
    with connect(relay) as s:
        assert bits_apart(ask(s, b"set k 0 0 1\r\n1"), b"STORED\r\n") == 1
    assert node.get("k") == b"1"


def test_a_corrupt_request_is_harmed_on_its_way(relay, node):
    relay.behave("corrupt-up")
    with connect(relay) as s:
        ask(s, b"set k 0 0 9\r\n123456789", timeout=0.2)
    assert node.get("k") != b"123456789"


def test_garbage_is_no_answer_of_memcached(relay):
    relay.behave("garbage")
    with connect(relay) as s:
        assert len(ask(s, b"get nothing")) == 42


def test_every_mode_is_known_and_no_other(relay):
    for mode in MODES:
        relay.behave(mode + " 0.1")
    with pytest.raises(ValueError):
        relay.behave("nonsense")
