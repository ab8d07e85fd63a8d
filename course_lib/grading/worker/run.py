"""Serve one answer: execute its cells, call its function on what comes, send back what it returns."""

from __future__ import annotations

import linecache
import socket
import sys
import traceback
import types
from collections.abc import Callable
from typing import Any, Final

from . import frames, values
from .call import call

LONGEST: Final = 500
ANSWER: Final = "<your answer>"


def serve(channel: socket.socket) -> None:
    """Answer messages until the other side closes."""
    order = frames.receive(channel)
    function = None
    try:
        function = _function(order)
    except BaseException as error:
        frames.send(channel, {"error": _told(error)})
        return
    frames.send(channel, {"ready": True})
    while True:
        try:
            frames.send(channel, _answer(function, frames.receive(channel), order["tensors"]))
        except frames.Gone:
            return


def _function(order: dict[str, Any]) -> Callable[..., Any]:
    """Execute the cells in a module of their own; return the function that they define."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    for name, source, passable in order["cells"]:
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        try:
            exec(compile(source, name, "exec"), module.__dict__)
        except Exception:
            if not passable:
                raise
    sys.stdout.flush()
    function = module.__dict__.get(order["function"])
    if not callable(function):
        raise NameError(f"there is no function named {order['function']}")
    return function  # type: ignore[no-any-return]


def _answer(function: Callable[..., Any], question: dict[str, Any], tensors: str) -> dict[str, Any]:
    try:
        result, after = call(function, question["arguments"], tensors)
    except values.NotPlain as error:
        return {"number": question["number"], "plain": str(error)[:LONGEST]}
    except BaseException as error:  # SystemExit and KeyboardInterrupt too: they end a case, not the others
        return {"number": question["number"], "error": _told(error)}
    return {"number": question["number"], "result": result, "arguments": after}


def _told(error: BaseException) -> dict[str, Any]:
    """Return an error's type, words, and line in the answer."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == ANSWER]
    if isinstance(error, SyntaxError) and error.filename == ANSWER:
        lines.append(error.lineno)
    try:
        words = str(error)[:LONGEST]
    except BaseException:
        words = ""
    return {"type": type(error).__name__[:100], "words": words, "line": lines[-1] if lines else 0}
