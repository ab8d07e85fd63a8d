"""Messages over a socket: whole or not at all, and never later than the deadline."""

from __future__ import annotations

import socket
import struct
import threading
import time

import numpy as np
import pytest

from course_lib.grading.worker import frames
from course_lib.grading.worker.values import MAX_BYTES, NotPlain


@pytest.fixture
def pair():
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def test_values_cross_in_both_directions(pair):
    one, other = pair
    large = np.random.default_rng(0).normal(size=500_000)
    sender = threading.Thread(target=frames.send, args=(one, {"x": large}, time.monotonic() + 10))
    sender.start()
    assert (frames.receive(other, time.monotonic() + 10)["x"] == large).all()
    sender.join()
    frames.send(other, 1)
    assert frames.pending(one)
    assert frames.receive(one) == 1
    assert not frames.pending(one)


def test_silence_ends_at_the_deadline(pair):
    one, other = pair
    for begun in (b"", b"\x05", struct.pack("<I", 100) + b"half"):
        one.sendall(begun)
        start = time.monotonic()
        with pytest.raises(frames.Silent):
            frames.receive(other, time.monotonic() + 0.1)
        assert time.monotonic() - start < 5
        one.close()
        one, other = socket.socketpair()


def test_a_reader_that_does_not_read_ends_at_the_deadline(pair):
    one, _ = pair
    with pytest.raises(frames.Silent):
        frames.send(one, np.zeros(4_000_000), time.monotonic() + 0.2)


def test_who_has_gone_is_told(pair):
    one, other = pair
    other.close()
    with pytest.raises(frames.Gone):
        frames.receive(one, time.monotonic() + 1)
    with pytest.raises(frames.Gone):
        for _ in range(3):
            frames.send(one, 1, time.monotonic() + 1)
    assert not frames.pending(one)


def test_an_announcement_beyond_the_cap_is_refused_before_it_is_read(pair):
    one, other = pair
    one.sendall(struct.pack("<I", MAX_BYTES + 1))
    with pytest.raises(NotPlain, match="announced"):
        frames.receive(other, time.monotonic() + 1)


def test_what_is_urgent_keeps_nobody_waiting(pair):
    one, other = pair
    try:
        one.send(b"!", socket.MSG_OOB)
    except OSError:
        pytest.skip("this system's sockets know nothing urgent")
    assert frames.pending(other)
    with pytest.raises(frames.Silent):
        frames.receive(other, time.monotonic() + 0.2)
