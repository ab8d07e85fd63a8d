"""A cache of its own for every test, and a server that misbehaves on request."""

from __future__ import annotations

import dataclasses
import hashlib
import http.server
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from course_lib.tasks import store

BODY = np.random.default_rng(0).bytes(2_000_000)


class Misbehaving(http.server.BaseHTTPRequestHandler):
    """The first part of the path says how to behave; requests are logged on the server."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""

    def do_GET(self) -> None:
        how = self.path.strip("/").split("/")[0]
        ranged = self.headers.get("Range")
        self.server.log.append((how, ranged))
        self.close_connection = True
        if how in ("404", "500"):
            self.send_error(int(how))
        elif how == "hang":
            self.server.enough.wait(5)
        else:
            self._answer(how, 0 if how == "norange" or not ranged else int(ranged[6:].split("-")[0]))

    def _answer(self, how: str, start: int) -> None:
        body = {"wrong": bytes(len(BODY)), "html": b"<html>busy</html>"}.get(how, BODY)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        rest = body[start:]
        try:
            if how == "slow":
                for k in range(0, len(rest), 50_000):
                    self.wfile.write(rest[k : k + 50_000])
                    self.wfile.flush()
                    time.sleep(0.03)
            elif how == "stall":
                self.wfile.write(b"" if start else rest[:100_000])
                self.wfile.flush()
                self.server.enough.wait(5)
            else:
                ends = {"drop": 700_000, "truncated": max(1_000_000 - start, 0)}
                self.wfile.write(rest[: ends.get(how, len(rest))])
        except OSError:
            return  # the client went away, which some tests want


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("COURSE_PROGRESS", "0")
    monkeypatch.delenv("COURSE_DATA", raising=False)
    monkeypatch.delenv("COURSE_OFFLINE", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def server() -> Iterator[http.server.ThreadingHTTPServer]:
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Misbehaving)
    made.daemon_threads = True
    made.log, made.enough = [], threading.Event()
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.enough.set()
    made.shutdown()
    made.server_close()


@pytest.fixture
def published(server, monkeypatch) -> Callable[..., store.Entry]:
    """Publish `BODY` as cifar10, at addresses of the server that behave as named."""

    def publish(*hows: str) -> store.Entry:
        addresses = [f"http://127.0.0.1:{server.server_port}/{how}/file.tar.gz" for how in hows]
        entry = dataclasses.replace(
            store.MANIFEST["cifar10"],
            sha256=hashlib.sha256(BODY).hexdigest(),
            bytes=len(BODY),
            url=addresses[0],
            mirrors=tuple(addresses[1:]),
        )
        monkeypatch.setitem(store.MANIFEST, "cifar10", entry)
        return entry

    return publish
