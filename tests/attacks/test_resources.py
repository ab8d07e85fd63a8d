"""Answers that take more than their share of memory, processes, disk, output or time."""

from __future__ import annotations

import pytest

from tests.attacks.arena import (
    TAKEN,
    Attack,
    caged,
    class_of,
    each,
    said,
    succeeds,
    tiers,
    unharmed,
    withstood,
)

HEAD = "def covariance(x):\n    "
CAGED = ("sandbox", "sandbox, cold")


# Every bomb here stops by itself far below what would hurt this machine.
ATTACKS = (
    Attack(
        "memory of NumPy",
        "import numpy as np\nkept = [np.ones(4 << 20) for _ in range(20)]\ntime.sleep(0.3)\ngot(len(kept))",
        without=("limits", "watch"),
    ),
    Attack(
        "memory of bytes",
        "kept = b'x'\nwhile len(kept) < 400 << 20: kept += kept\ntime.sleep(0.3)\ngot(len(kept))",
        without=("limits", "watch"),
    ),
    Attack("a terabyte at once", "import numpy as np\nkept = np.ones(1 << 37)\ngot()", note="MemoryError"),
    Attack(
        "memory of mmap",
        "import mmap\nm = mmap.mmap(-1, 400 << 20, flags=mmap.MAP_PRIVATE)\n"
        "for k in range(0, len(m), 4096): m[k] = 1\ntime.sleep(0.3)\ngot(len(m))",
        without=("limits", "watch"),
    ),
    Attack(
        "memory shared between forks",
        "import mmap\nm = mmap.mmap(-1, 400 << 20)\n"
        "for k in range(0, len(m), 4096): m[k] = 1\ntime.sleep(0.3)\ngot(len(m))",
        without=("limits", "watch", "calls"),
    ),
    Attack(
        "memory of many small processes",
        "for _ in range(24):\n    if os.fork() == 0:\n        kept = bytearray(16 << 20)\n"
        "        for k in range(0, len(kept), 4096): kept[k] = 1\n        time.sleep(9); os._exit(0)\n"
        "time.sleep(1)\ngot()",
        note="memory limit|time limit",
        without=("limits", "watch"),
    ),
    Attack(
        "files in shared memory",
        "for k in range(5):\n    with open(f'/dev/shm/@MARK@-{k}', 'wb') as f:\n"
        "        for _ in range(30): f.write(bytes(1 << 20))\ngot()",
        without=("limits",),
        plain="disk",
        harms=True,
    ),
    Attack(
        "memory behind a number",
        "fd = os.memfd_create('x')\nos.ftruncate(fd, 64 << 20)\ngot(fd)",
        without=("calls",),
        plain="calls",
    ),
    Attack(
        "shared memory let go of",
        "import mmap\nm = mmap.mmap(-1, 300 << 20)\nblock = b'x' * (4 << 20)\n"
        "for k in range(0, len(m), len(block)):\n    m[k:k + len(block)] = block\n"
        "    m.madvise(mmap.MADV_DONTNEED, k, len(block))\ntime.sleep(0.2)\ngot(len(m))",
        plain="kernel memory",
        slow=True,
    ),
    Attack(
        "page tables",
        "libc = ctypes.CDLL(None)\nlibc.mmap.restype = ctypes.c_void_p\nsize = 80 << 30\n"
        "libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int,"
        " ctypes.c_long]\n"
        "at = libc.mmap(None, size, 1, 0x4022, -1, 0)\n"
        "assert at and at != 2**64 - 1\n"
        "libc.madvise(ctypes.c_void_p(at), ctypes.c_size_t(size), 15)\n"
        "for k in range(0, size, 2 << 20): ctypes.c_ubyte.from_address(at + k).value\ngot(size)",
        plain="kernel memory",
        slow=True,
    ),
    Attack(
        "buffers of sockets",
        "import socket\nheld = 0\nready, go = os.pipe()\nfor k in range(8):\n    if os.fork() == 0:\n"
        "        kept, n = [], 0\n        try:\n            while True:\n"
        "                pair = socket.socketpair(); kept.append(pair)\n                for s in pair:\n"
        "                    s.setblocking(False)\n                    try:\n"
        "                        while True: n += s.send(b'x' * 65536)\n"
        "                    except BlockingIOError: pass\n"
        "        except OSError: pass\n"
        "        os.write(go, b'%09d' % n); time.sleep(9); os._exit(0)\n"
        "for k in range(8): held += int(os.read(ready, 9))\n"
        "if held > 100 << 20: got(held)",
        plain="kernel memory",
        slow=True,
    ),
    Attack(
        "memory as files of the root",
        "for k in range(5):\n    with open(f'/@MARK@-{k}', 'wb') as f:\n"
        "        for _ in range(30): f.write(bytes(1 << 20))\ngot()",
        harms=True,
    ),
    Attack(
        "disk",
        "for k in range(5):\n    with open(f'/tmp/@MARK@-{k}', 'wb') as f:\n"
        "        for _ in range(30): f.write(bytes(1 << 20))\ngot()",
        plain="disk",
        harms=True,
    ),
    Attack(
        "a huge file",
        "import signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "with open('big', 'wb') as f:\n    for _ in range(70): f.write(bytes(1 << 20))\ngot()",
        without=("limits", "processes", "files"),
    ),
    Attack("a file of a petabyte", "open('big', 'wb').truncate(1 << 50)\ngot()"),
    Attack(
        "a hundred thousand files", "for k in range(100_000): open(str(k), 'w').close()\ngot()", harms=True
    ),
    Attack(
        "many small processes",
        "for _ in range(90):\n    if os.fork() == 0:\n        time.sleep(9); os._exit(0)\n"
        "time.sleep(1.0)\ngot()",
        note="process limit|OSError|BlockingIOError|time limit",
        without=("limits", "watch"),
    ),
    Attack(
        "fork bomb",
        "for _ in range(8):\n    os.fork()\ntime.sleep(9)",  # 256 at most
        note="process limit|OSError|BlockingIOError|time limit",
    ),
    Attack(
        "fork bomb in the function",
        HEAD + "\n    for _ in range(8): os.fork()\n    time.sleep(9)",
        note="process limit|OSError|BlockingIOError|time limit",
    ),
    Attack("zombies", "for _ in range(90):\n    if os.fork() == 0: os._exit(0)\ntime.sleep(1.0)\ngot()"),
    Attack(
        "threads",
        "import threading\nthreading.stack_size(65536)\n"
        "for _ in range(200): threading.Thread(target=time.sleep, args=(9,), daemon=True).start()\n"
        "time.sleep(0.3)\ngot()",
    ),
    Attack(
        "output",
        "block = b'x' * (1 << 20)\nfor _ in range(1024): os.write(1, block)\ngot()",
        note="output limit|ended itself",
    ),
    Attack("output of the function", HEAD + "\n    while True: print('x' * 100_000)", note="output limit"),
    Attack("errors without end", HEAD + "\n    while True: os.write(2, b'x' * 100_000)", note="output limit"),
    Attack(
        "open files",
        "kept = []\nfor _ in range(300): kept.append(open('/dev/null'))\ngot(len(kept))",
        note="OSError",
    ),
    Attack(
        "a daemon",
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork(): os._exit(0)\n"
        "    ctypes.CDLL(None).prctl(15, b'@MARK@', 0, 0, 0)\n    os.closerange(0, 64)\n"
        "    time.sleep(30); os._exit(0)\n"
        "os.wait()\n",
    ),
    Attack(
        "a daemon of another name",
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork(): os._exit(0)\n    os.closerange(0, 64)\n"
        "    os.execv(sys.executable, [sys.executable, '-ISc', 'import time; time.sleep(30)', '@MARK@'])\n"
        "os.wait()\n",
    ),
    Attack(
        "a daemon that forks on",
        "if os.fork() == 0:\n    os.setsid()\n    os.closerange(0, 64)\n"
        "    ctypes.CDLL(None).prctl(15, b'@MARK@', 0, 0, 0)\n"
        "    for _ in range(400):\n        if os.fork(): os._exit(0)\n        time.sleep(0.01)\n"
        "    os._exit(0)\n",
    ),
    Attack("time", HEAD + "time.sleep(60)", note="time limit"),
    Attack("time in small pieces", HEAD + "\n    for _ in range(10**9): time.sleep(0.01)", note="time limit"),
    Attack(
        "an alarm instead of an end",
        "import signal\nsignal.signal(signal.SIGXCPU, lambda *_: None)\n"
        + HEAD
        + "\n    while True:\n        try: raise ValueError\n        except BaseException: pass",
        note="time limit|ended itself",
    ),
    Attack(
        "a result of a gigabyte",
        HEAD + "import numpy as np; return np.broadcast_to(np.float64(1), (1 << 27,))",
    ),
    Attack("a result of many lists", HEAD + "return [[] for _ in range(200_000)]"),
    Attack("a result without end", HEAD + "a = []; a.append(a); return a", note="nested"),
    Attack("a result that grows on", HEAD + "\n    a = []\n    for _ in range(24): a = [a, a]\n    return a"),
)
batch = class_of(ATTACKS, jobs=6)


@each(ATTACKS)
def test_taking_too_much_gains_nothing(batch, attack, course):
    withstood(batch, attack, course.secret)


@tiers()
def test_the_others_are_unharmed(batch):
    unharmed(batch)
    assert batch.seconds < 90


PROVEN = [one for one in ATTACKS if one.without]


@pytest.fixture(scope="module")
def weak(course):
    yield succeeds(course, PROVEN)
    course.end_marked()


@pytest.mark.parametrize("attack", PROVEN, ids=str)
def test_it_succeeds_without_the_defence(weak, attack):
    assert TAKEN in said(weak[attack.name].of(attack)), weak[attack.name].of(attack).results


def test_output_goes_on_without_the_watch(course):
    source = "os.write(1, b'x' * (1 << 20))\nos.write(1, b'x' * 9999)\n" + HEAD + "time.sleep(0.3); return x"
    seen, unseen = Attack("seen", source, note="output limit"), Attack("unseen", source, without=("watch",))
    assert "output limit" in course.grade([seen], caged()).of(seen).results[0].note
    assert "output limit" not in succeeds(course, [unseen])["unseen"].of(unseen).results[0].note


def test_a_daemon_of_a_naive_grader_lives_on(course):
    from tests.attacks import naive

    daemon = next(one for one in ATTACKS if one.name == "a daemon of another name")
    naive.points("import os, sys\n" + course.filled(daemon.source) + "def covariance(x): return x", "close")
    try:
        assert course.left_processes(0.1)
    finally:
        course.end_marked()
    assert course.left_processes() == []
