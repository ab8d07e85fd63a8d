"""Answers that call home, or the machine's own services."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest

from tests.attacks.arena import TAKEN, Attack, class_of, each, said, succeeds, tiers, unharmed, withstood

OPEN = ("network", "calls")
TRY = "import socket\nsocket.setdefaulttimeout(0.5)\ntry:\n    "
ELSE = "\nexcept OSError as e: print(e)\n"

ATTACKS = (
    Attack(
        "TCP to loopback",
        TRY
        + "s = socket.create_connection(('127.0.0.1', @PORT@)); s.sendall(b'@MARK@-tcp'); got(s.recv(9))"
        + ELSE,
        without=OPEN,
        plain="network",
    ),
    Attack(
        "UDP to loopback",
        TRY
        + "s = socket.socket(2, 2); s.sendto(b'@MARK@-udp', ('127.0.0.1', @PORT@)); got(s.recv(9))"
        + ELSE,
        without=OPEN,
        plain="network",
    ),
    Attack(
        "TCP by a child with a program of its own",
        "import subprocess\n"
        "code = '''import socket; s = socket.create_connection((\"127.0.0.1\", @PORT@), 1);"
        ' s.sendall(b"@MARK@-child"); print("GOT ", s.recv(9), flush=True)\'\'\'\n'
        "subprocess.run([sys.executable, '-ISc', code])",
        without=OPEN,
        plain="network",
    ),
    Attack(
        "a route",
        TRY + "s = socket.socket(2, 2); s.connect(('192.0.2.1', 9)); got(s.getsockname())" + ELSE,
        plain="network",
    ),
    Attack(
        "IPv6", TRY + "s = socket.socket(10, 1); s.connect(('::1', @PORT@)); got()" + ELSE, plain="network"
    ),
    Attack("names", TRY + "got(socket.getaddrinfo('example.org', 80))" + ELSE, plain="network"),
    Attack(
        "an abstract socket of the host",
        TRY
        + "s = socket.socket(1); s.connect('\\0@MARK@'); s.sendall(b'@MARK@-abstract'); got(s.recv(9))"
        + ELSE,
        without=OPEN,
        plain="network",
    ),
    Attack(
        "a socket file of the host",
        TRY + "s = socket.socket(1); s.connect('@UNIX@'); s.sendall(b'@MARK@-unix'); got(s.recv(9))" + ELSE,
        without=("files", "processes", "calls"),
        plain="network",
    ),
    Attack(
        "a server",
        TRY + "s = socket.socket(); s.bind(('', 0)); s.listen(); got(s.getsockname())" + ELSE,
        without=("calls",),
        plain="network",
    ),
    Attack("netlink", TRY + "got(socket.socket(16, 3, 0))" + ELSE, without=("calls",), plain="network"),
    Attack("raw packets", TRY + "got(socket.socket(17, 3, 0x300))" + ELSE, harms=True),
    Attack("raw IP", TRY + "got(socket.socket(2, 3, 1))" + ELSE, harms=True),
    Attack("machine to host", TRY + "got(socket.socket(40, 1))" + ELSE, without=("calls",), plain="network"),
    Attack("kernel's cryptography", TRY + "got(socket.socket(38, 5))" + ELSE, plain="network", harms=True),
    Attack(
        "a socket by number of the call",
        "n = ctypes.CDLL(None).syscall(41 if os.uname().machine == 'x86_64' else 198, 2, 1, 0)\n"
        "if n >= 0: got(n)",
        without=("calls",),
        plain="network",
    ),
    Attack(
        "a pair of another family",
        "a = (ctypes.c_int * 2)()\nfor family in (2, 10, 30, 40):\n"
        "    if ctypes.CDLL(None).socketpair(family, 1, 0, a) == 0: got(family)\n",
    ),
    Attack(
        "devices",
        "try: got(os.listdir('/sys/class/net'))\nexcept OSError as e: print(e)\n",
        without=("files", "processes"),
        plain="reads",
    ),
)


class Server:
    """Loopback TCP and UDP, an abstract socket and a socket file; remembers what came."""

    def __init__(self, course) -> None:
        self.came: list[bytes] = []
        self.unix = course.unix
        self.sockets = [socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)]
        self.sockets += [socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)]
        self.sockets[0].bind(("127.0.0.1", 0))
        course.port = self.sockets[0].getsockname()[1]
        self.sockets[1].bind(("127.0.0.1", course.port))
        self.sockets[2].bind(course.abstract)
        self.sockets[3].bind(str(course.unix))
        for one in self.sockets:
            one.settimeout(0.1)
            if one.type == socket.SOCK_STREAM:
                one.listen(16)
        self.over = threading.Event()
        self.threads = [
            threading.Thread(target=self._serve, args=(one,), daemon=True) for one in self.sockets
        ]
        for thread in self.threads:
            thread.start()

    def _serve(self, one: socket.socket) -> None:
        while not self.over.is_set():
            with contextlib.suppress(OSError):
                if one.type == socket.SOCK_DGRAM:
                    data, sender = one.recvfrom(100)
                    self.came.append(data)
                    one.sendto(b"welcome", sender)
                    continue
                talk, _ = one.accept()
                with talk:
                    talk.settimeout(1)
                    self.came.append(talk.recv(100))
                    talk.sendall(b"welcome")

    def close(self) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()
        for one in self.sockets:
            one.close()
        self.unix.unlink()


@pytest.fixture(scope="module")
def server(course):
    made = Server(course)
    yield made
    made.close()


batch = class_of(ATTACKS, jobs=2)


@pytest.fixture(autouse=True, scope="module")
def listening(server):
    return server


@each(ATTACKS)
def test_nobody_is_reached(batch, attack, course):
    withstood(batch, attack, course.secret)


@tiers()
def test_the_others_are_unharmed(batch):
    unharmed(batch)


def test_the_server_has_heard_nothing(course, server):
    course.grade([one for one in ATTACKS if not one.harms], "sandbox")
    assert server.came == []


PROVEN = [one for one in ATTACKS if one.without]


@pytest.fixture(scope="module")
def weak(course, server):
    done = succeeds(course, PROVEN)
    heard, server.came[:] = list(server.came), []
    return done, heard


@pytest.mark.parametrize("attack", PROVEN, ids=str)
def test_it_succeeds_without_the_defence(weak, attack):
    assert TAKEN in said(weak[0][attack.name].of(attack)), weak[0][attack.name].of(attack).results


def test_the_server_has_heard_it_all_without_the_defence(weak, course):
    heard = {word.decode().removeprefix(f"{course.mark}-") for word in weak[1]}
    assert heard == {"tcp", "udp", "child", "abstract", "unix"}
