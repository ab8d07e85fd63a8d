"""A hub on this machine: it speaks the hub's HTTP, serves real repositories and misbehaves on request."""

from __future__ import annotations

import hashlib
import http.server
import json
import re
import socket
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import pytest

from course_lib.encoders.packaged import weights_file

LARGE = 100_000  # bytes from which a file is kept by its SHA-256 (Git LFS) and lies at another host
TOKEN = "hf_secretsecretsecret"


def git_name(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Repo:
    """Commits of a repository and what its branches point to."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    gated: bool = False

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        commit = self.branches.get(revision, revision)
        return (commit, self.commits[commit]) if commit in self.commits else None


class Hub(http.server.ThreadingHTTPServer):
    """The server; `log` holds (method, path, range, authorised) of every request.

    ``faults[part of a path]`` is a queue of what to do instead of answering, one per request.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.repos: dict[str, Repo] = {}
        self.faults: dict[str, deque] = defaultdict(deque)
        self.log: list[tuple[str, str, str | None, bool]] = []
        self.blobs: dict[str, bytes] = {}

    def handle_error(self, *_: object) -> None:
        """Say nothing when a client goes away, which some tests want."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def publish(self, name: str, files: dict[str, bytes], *, kind="models", commit="", gated=False) -> str:
        """Make `files` the newest commit of the branch main and return the commit."""
        repo = self.repos.setdefault(f"{kind}/{name}", Repo())
        told = json.dumps([name, sorted((n, sha256(c)) for n, c in files.items())])
        commit = commit or hashlib.sha1(told.encode()).hexdigest()
        repo.commits[commit], repo.branches["main"], repo.gated = files, commit, gated
        self.blobs |= {sha256(content): content for content in files.values()}
        return commit

    def asked(self, part: str) -> list[str]:
        return [f"{method} {path}" for method, path, *_ in self.log if part in path]


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        authorised = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        self.server.log.append((self.command, path, self.headers.get("Range"), authorised))
        cut = self._fault(path)
        if cut is None:
            return
        if match := re.fullmatch(
            r"/api/(models|datasets)/([\w.-]+/[\w.-]+?)(?:/(revision|tree)/(.+))?", path
        ):
            self._told(*match.groups())
        elif match := re.fullmatch(r"/(?:(datasets)/)?([\w.-]+/[\w.-]+)/resolve/(.+?)/([\w./-]+)", path):
            kind, name, revision, file = match.groups()
            self._file(kind or "models", name, revision, file, authorised, cut)
        elif path.startswith("/cdn/"):
            self._send(self.server.blobs[path.removeprefix("/cdn/")], {}, cut)
        else:
            self._refuse(404, "", "Not found")

    def _fault(self, path: str) -> int | None:
        """Do what was asked for instead: return bytes after which to hang up, or None when all is done."""
        for part, queue in self.server.faults.items():
            if part in path and queue:
                fault = queue.popleft()
                if isinstance(fault, int):
                    return fault
                status, headers, body = fault
                self.send_response(status)
                for key, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(b"" if self.command == "HEAD" else body)
                return None
        return -1

    def _repo(self, kind: str, name: str) -> Repo | None:
        repo = self.server.repos.get(f"{kind}/{name}")
        if repo is None:
            self._refuse(401, "RepoNotFound", "Invalid username or password.")
        return repo

    def _told(self, kind: str, name: str, what: str | None, revision: str | None) -> None:
        repo = self._repo(kind, name)
        if repo is None:
            return
        found = repo.at(revision or "main")
        if found is None:
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return
        siblings = []
        for file, content in found[1].items():
            entry = {"rfilename": file, "size": len(content), "blobId": git_name(content)}
            if len(content) >= LARGE:
                pointer = (
                    b"version https://git-lfs.github.com/spec/v1\noid sha256:" + sha256(content).encode()
                )
                entry |= {"blobId": git_name(pointer)}
                entry |= {"lfs": {"size": len(content), "sha256": sha256(content), "pointerSize": 134}}
            siblings.append(entry)
        told = {"_id": "1", "id": name, "sha": found[0], "siblings": siblings, "private": False}
        if what == "tree":
            told = [
                {"type": "file", "path": s["rfilename"], "size": s["size"], "oid": s["blobId"]}
                for s in siblings
            ]
        self._send(json.dumps(told).encode(), {"Content-Type": "application/json"}, -1)

    def _file(self, kind: str, name: str, revision: str, file: str, authorised: bool, cut: int) -> None:
        repo = self._repo(kind, name)
        if repo is None:
            return
        found = repo.at(revision)
        if repo.gated and not authorised:
            self._refuse(403, "GatedRepo", f"Access to model {name} is restricted.")
        elif found is None:
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        elif file not in found[1]:
            self._refuse(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": found[0]})
        elif len(content := found[1][file]) < LARGE:
            self._send(content, {"ETag": f'"{git_name(content)}"', "X-Repo-Commit": found[0]}, cut)
        else:
            self.send_response(302)
            for key, value in {
                "X-Repo-Commit": found[0],
                "X-Linked-Size": str(len(content)),
                "X-Linked-ETag": f'"{sha256(content)}"',
                "Location": f"http://localhost:{self.server.server_port}/cdn/{sha256(content)}?signature=s3cret",
                "Content-Length": "0",
            }.items():
                self.send_header(key, value)
            self.end_headers()

    def _send(self, content: bytes, headers: dict[str, str], cut: int) -> None:
        ranged = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        start = int(ranged.group(1)) if ranged else 0
        self.send_response(206 if ranged else 200)
        if ranged:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        for key, value in {**headers, "Content-Length": str(len(content) - start)}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        try:
            self.wfile.write(content[start : start + cut] if cut >= 0 else content[start:])
        except OSError:
            return
        if cut >= 0:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True

    def _refuse(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        told = {"X-Error-Code": code, "X-Error-Message": message, "Content-Length": "0", **(headers or {})}
        for key, value in told.items():
            if value:
                self.send_header(key, value)
        self.end_headers()


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch) -> None:
    """Caches of its own for every test, no token, and no way out of this machine."""
    from huggingface_hub import constants

    for name in ("HF_TOKEN", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "COURSE_OFFLINE", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COURSE_PROGRESS", "0")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    real, found = socket.socket.connect, socket.getaddrinfo

    def connect(self, address):
        assert address[0] in ("127.0.0.1", "::1"), f"the test reaches out to {address}"
        return real(self, address)

    def getaddrinfo(host, *rest, **options):
        assert host in ("127.0.0.1", "::1", "localhost", b"localhost"), f"the test asks for {host}"
        return found(host, *rest, **options)

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.fixture
def hub(monkeypatch) -> Iterator[Hub]:
    """A hub that ``HF_ENDPOINT`` points to, set long after its library was imported."""
    made = Hub()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", made.url + "/")
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def hasty(monkeypatch) -> list[float]:
    """Let no wait take time; what would have been waited is noted."""
    import time

    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    return waits


@pytest.fixture(scope="session")
def english_files(tmp_path_factory) -> dict[str, bytes]:
    """The packaged English BERT's first two layers and first 8,000 pieces: real weights, real tokenizer.

    As old repositories have it: ``bert.`` before the names, ``gamma`` and ``beta``, a pooler and a head left
    over; half precision, so that it is small.
    """
    pieces = 8000
    import torch
    from safetensors.torch import load_file, save

    folder = weights_file("all-minilm-l6-v2").parent
    state = {}
    for name, tensor in load_file(folder / "model.safetensors").items():
        layer = re.match(r"encoder\.layer\.(\d+)", name)
        if layer is None or int(layer.group(1)) < 2:
            old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
                "LayerNorm.bias", "LayerNorm.beta"
            )
            state[f"bert.{old}"] = tensor.half() if tensor.is_floating_point() else tensor
    table = "bert.embeddings.word_embeddings.weight"
    state[table] = state[table][:pieces].clone()
    state["cls.predictions.bias"] = torch.zeros(pieces, dtype=torch.float16)
    config = json.loads((folder / "config.json").read_text())
    config |= {"num_hidden_layers": 2, "vocab_size": pieces, "dtype": "float16"}
    tokenizer = json.loads((folder / "tokenizer.json").read_text("utf8"))
    vocabulary = tokenizer["model"]["vocab"]
    tokenizer["model"]["vocab"] = {piece: i for piece, i in vocabulary.items() if i < pieces}
    lines = (folder / "vocab.txt").read_text("utf8").splitlines()[:pieces]
    return {
        "config.json": json.dumps(config).encode(),
        "model.safetensors": save(state, metadata={"format": "pt"}),
        "tokenizer.json": json.dumps(tokenizer).encode(),
        "vocab.txt": "\n".join(lines).encode(),
        **{n: (folder / n).read_bytes() for n in ("tokenizer_config.json", "special_tokens_map.json")},
        "pytorch_model.bin": b"never to be read",
        "README.md": b"# A model",
    }


@pytest.fixture
def english(hub, english_files) -> str:
    hub.publish("tiny/english-bert", english_files)
    return "tiny/english-bert"
