"""Messages over a private pair of sockets: four bytes of length, then a plain value."""

from __future__ import annotations

import select
import socket
import struct
import time
from typing import Any

from . import values

_LENGTH = struct.Struct("<I")
_CHUNK = 1 << 20
_BREATH = 0.005  # seconds
_PATIENTLY, _AT_ONCE = 0, getattr(socket, "MSG_DONTWAIT", 0)


class Silent(Exception):
    """Nothing, or not all of a message, came before the deadline."""


class Gone(Exception):
    """The other side closed its end."""


def send(channel: socket.socket, value: Any, deadline: float | None = None) -> None:
    """Send one value.

    Raises
    ------
    NotPlain, Silent, Gone
        For a value that may not cross; when the other side does not read before `deadline`, a time of
        `time.monotonic`; when it has gone.
    """
    data = memoryview(_frame(value))
    while data:
        _wait(channel, deadline, writing=True)
        try:
            data = data[channel.send(data[:_CHUNK], _PATIENTLY if deadline is None else _AT_ONCE) :]
        except BlockingIOError:
            continue
        except (BrokenPipeError, ConnectionError):
            raise Gone from None


def receive(channel: socket.socket, deadline: float | None = None) -> Any:
    """Return the next value.

    Raises
    ------
    NotPlain, Silent, Gone
        For bytes that are no plain value; when it is not complete before `deadline`; when the other side has
        gone.
    """
    (length,) = _LENGTH.unpack(_exactly(channel, _LENGTH.size, deadline))
    if length > values.MAX_BYTES:
        raise values.NotPlain(
            f"a message announced with {length:,} bytes; at most {values.MAX_BYTES:,} cross"
        )
    return values.loads(_exactly(channel, length, deadline))


def pending(channel: socket.socket) -> bool:
    """Tell whether bytes wait on `channel` that nobody asked for."""
    ready, _, _ = select.select([channel], [], [], 0)
    try:
        return bool(ready) and bool(channel.recv(1, socket.MSG_PEEK | _AT_ONCE))
    except BlockingIOError:
        return True


def _frame(value: Any) -> bytes:
    data = values.dumps(value)
    return _LENGTH.pack(len(data)) + data


def _exactly(channel: socket.socket, size: int, deadline: float | None) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        _wait(channel, deadline, writing=False)
        try:
            part = channel.recv(min(size - len(parts), _CHUNK), _PATIENTLY if deadline is None else _AT_ONCE)
        except BlockingIOError:  # something urgent is there, which is no part of a message
            time.sleep(_BREATH)
            continue
        except ConnectionError:
            raise Gone from None
        if not part:
            raise Gone
        parts += part
    return bytes(parts)


def _wait(channel: socket.socket, deadline: float | None, *, writing: bool) -> None:
    left = None if deadline is None else deadline - time.monotonic()
    if left is not None and left <= 0:
        raise Silent
    readable, writable = ([], [channel]) if writing else ([channel], [])
    if not any(select.select(readable, writable, [], left)):
        raise Silent
