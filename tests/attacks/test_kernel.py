"""Answers that turn to the kernel: into other processes, other namespaces, more rights."""

from __future__ import annotations

import os

import pytest

from tests.attacks.arena import TAKEN, Attack, class_of, each, said, succeeds, tiers, unharmed, withstood

pytestmark = pytest.mark.skipif(
    os.uname().machine not in ("x86_64", "aarch64"),
    reason="numbers of system calls are known for two processors",
)
ARM = os.uname().machine == "aarch64"
CALL = (
    "libc = ctypes.CDLL(None, use_errno=True)\nlibc.syscall.restype = ctypes.c_long\n"
    "def call(*a):\n"
    "    r = libc.syscall(*[ctypes.c_long(v) if isinstance(v, int) else v for v in a])\n"
    "    print(a[0], r, ctypes.get_errno())\n"
    "    return r\n"
)
NEW_USER, NEW_NET, NEW_MOUNT, NEW_PID = 0x10000000, 0x40000000, 0x20000, 0x20000000


def kernel(name, x86, arm, *arguments, before="", works="r >= 0", after="", **how):
    """Return the attack that makes one call; it succeeds when the kernel says so."""
    number = arm if ARM else x86
    told = ", ".join(str(one) for one in (number, *arguments))
    how.setdefault("without", ("calls",))
    how.setdefault("plain", "calls")
    return Attack(name, f"{CALL}{before}\nr = call({told})\nif {works}: got(r)\n{after}", **how)


BUFFER = "buf = ctypes.create_string_buffer(64)\n"
VECTOR = (
    "import struct\nbuf = ctypes.create_string_buffer(8)\n"
    "def vec(at): return ctypes.create_string_buffer(struct.pack('QQ', at, 8))\n"
    "mine, theirs = vec(ctypes.addressof(buf)), vec(id(None))\n"
    "ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)\nchild = os.fork()\nif child == 0: time.sleep(5); os._exit(0)\n"
)
ATTACKS = (
    kernel("trace me", 101, 117, 0, 0, 0, 0),
    kernel("trace a child", 101, 117, 16, "child", 0, 0, before=VECTOR, after="os.kill(child, 9)"),
    kernel("trace the parent", 101, 117, 16, "max(1, os.getppid())", 0, 0, without=(), harms=True),
    kernel(
        "read another's memory",
        310,
        270,
        "child",
        "mine",
        1,
        "theirs",
        1,
        0,
        before=VECTOR,
        works="r == 8",
        after="os.kill(child, 9)",
    ),
    kernel(
        "write another's memory",
        311,
        271,
        "child",
        "mine",
        1,
        "vec(ctypes.addressof(buf))",
        1,
        0,
        before=VECTOR,
        works="r == 8",
        after="os.kill(child, 9)",
    ),
    kernel(
        "read the parent's memory",
        310,
        270,
        "os.getppid() or 1",
        "mine",
        1,
        "theirs",
        1,
        0,
        before=VECTOR,
        works="r == 8 and os.getppid()",
        without=(),
        harms=True,
        after="os.kill(child, 9)",
    ),
    kernel("files of another", 438, 438, "os.pidfd_open(os.getpid())", 1, 0),
    kernel("a namespace of users", 272, 97, NEW_USER),
    kernel("a namespace of networks", 272, 97, NEW_USER | NEW_NET),
    kernel("a namespace of mounts", 272, 97, NEW_USER | NEW_MOUNT),
    kernel(
        "clone with namespaces",
        56,
        220,
        NEW_USER | 17,
        0,
        0,
        0,
        0,
        before="",
        works="r > 0",
        after="if r == 0: os._exit(0)\n",
    ),
    kernel("clone3", 435, 435, "ctypes.create_string_buffer(88)", 88, works="ctypes.get_errno() != 38"),
    kernel(
        "enter a namespace",
        308,
        268,
        "os.pidfd_open(os.getpid())",
        NEW_USER,
        works="ctypes.get_errno() != 1",
    ),
    kernel(
        "mount",
        165,
        40,
        "b'none'",
        "b'/tmp'",
        "b'tmpfs'",
        0,
        0,
        without=("calls",),
        plain="calls",
        harms=True,
    ),
    kernel("unmount", 166, 39, "b'/tmp'", 2, works="r == 0", harms=True),
    kernel("bind the root", 165, 40, "b'/'", "b'/tmp'", 0, 20480, 0, harms=True),
    kernel("open a tree", 428, 428, -100, "b'/'", 0x8001, harms=True),
    kernel("a new file system", 430, 430, "b'tmpfs'", 0, harms=True),
    kernel("change the root", 161, 51, "b'/tmp'", harms=True),
    kernel("swap the root", 155, 41, "b'/tmp'", "b'/tmp'", without=(), harms=True),
    kernel("a device", 259, 33, -100, "b'@MARK@'", 0o20600, 0x103, without=(), harms=True),
    kernel(
        "a file by handle",
        303,
        264,
        -100,
        "b'/'",
        "buf",
        "buf",
        0,
        before=BUFFER,
        works="ctypes.get_errno() != 1",
    ),
    kernel("a program for the kernel", 321, 280, 0, "buf", 64, before=BUFFER, without=(), harms=True),
    kernel("counters of the processor", 298, 241, "buf", 0, -1, -1, 0, before=BUFFER, without=()),
    kernel("faults by hand", 323, 282, 1, without=()),
    kernel(
        "a ring of calls",
        425,
        425,
        4,
        "ctypes.create_string_buffer(120)",
        works="ctypes.get_errno() != 1",
        without=(),
    ),
    kernel("keys", 250, 219, 0, -3, 1, works="r >= 0"),
    kernel("a new key", 248, 217, "b'user'", "b'@MARK@'", "b'x'", 1, -1, works="r >= 0"),
    kernel("messages of the kernel", 103, 116, 10, 0, 0, without=(), harms=True),
    kernel("another personality", 135, 92, 0xFFFFFFFF),
    kernel("no randomness of addresses", 135, 92, 0x40000, harms=True),
    kernel("shared memory of System V", 29, 194, 0, 4096, 0o1600),
    kernel("messages of System V", 68, 186, 0, 0o1600, harms=True),
    kernel("a name for the machine", 170, 161, "b'mine'", 4, without=(), harms=True),
    kernel("another time", 227, 112, 0, "buf", before=BUFFER, without=(), harms=True),
    kernel("restart", 169, 142, 0, 0, 0, 0, without=(), harms=True),
    kernel("a module", 175, 105, "buf", 64, "b''", before=BUFFER, without=(), harms=True),
    kernel("become root", 105, 146, 0, without=(), harms=True),
    kernel("become another", 105, 146, 1001, without=(), harms=True),
    kernel("more groups", 116, 159, 0, 0, without=(), harms=True),
    kernel("a lower nice", 141, 140, 0, 0, -10, without=(), harms=True),
    kernel("higher limits", 160, 164, 7, "(ctypes.c_ulong * 2)(1 << 30, 1 << 30)", without=(), harms=True),
    kernel(
        "higher limits by another call",
        302,
        261,
        0,
        7,
        "(ctypes.c_ulong * 2)(1 << 20, 1 << 20)",
        0,
        without=(),
        harms=True,
    ),
    kernel("rights back", 157, 167, 47, 2, 21, 0, 0, without=(), harms=True),
    kernel(
        "dumpable again, to be read",
        157,
        167,
        4,
        1,
        0,
        0,
        0,
        works="r == 0 and os.getppid() and open(f'/proc/{os.getppid()}/mem', 'rb')",
        without=(),
        plain="processes",
        harms=True,
    ),
    Attack("no filter", CALL + f"r = call({167 if ARM else 157}, 22, 0, 0, 0, 0)\nif r == 0: got()\n"),
    Attack(
        "numbers of another age",
        CALL + ""
        if ARM
        else CALL + "for n in (0x40000000 | 39, 0x40000000 | 101):\n    if call(n, 0, 0, 0) >= 0: got(n)\n",
    ),
    Attack(
        "the other table of calls",  # int 0x80 from 64-bit code: getpid of the 32-bit table
        "pass"
        if ARM
        else "import mmap\nm = mmap.mmap(-1, 4096, prot=7, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)\n"
        "m.write(b'\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3')\n"
        "at = ctypes.addressof(ctypes.c_char.from_buffer(m))\n"
        "r = ctypes.CFUNCTYPE(ctypes.c_int)(at)()\nprint(r)\nif r > 0: got(r)\n",
        without=(),
        plain="calls",
        harms=True,
    ),
    Attack(
        "a device of the disk",
        "for n in ('sda', 'vda', 'mem', 'kmsg', 'kvm', 'fuse', 'nvidia0'):\n"
        "    try: got(open('/dev/' + n, 'rb', 0))\n    except OSError: pass\n",
        harms=True,
    ),
    Attack(
        "settings of the kernel",
        "for n in ('kernel/core_pattern', 'vm/drop_caches', 'kernel/modprobe'):\n"
        "    try: got(os.open('/proc/sys/' + n, os.O_WRONLY))\n    except OSError: pass\n",
        harms=True,
    ),
    Attack(
        "control groups",
        "for place, _, names in os.walk('/sys/fs/cgroup'):\n"
        "    if names and os.access(place + '/' + names[0], os.W_OK): got(place); break\n",
        harms=True,
    ),
    Attack(
        "a setuid program",
        "import subprocess\nfor p in ('/usr/bin/su', '/usr/bin/sudo', '/usr/bin/passwd'):\n"
        "    if os.path.exists(p):\n        r = subprocess.run([p, '-c', 'id -u'], capture_output=True,"
        " stdin=subprocess.DEVNULL, timeout=1).stdout\n        if r.strip() == b'0': got(p, r)\n",
        harms=True,
    ),
)
batch = class_of(ATTACKS, jobs=2)


@each(ATTACKS)
def test_the_kernel_refuses(batch, attack, course):
    withstood(batch, attack, course.secret)


@tiers()
def test_the_others_are_unharmed(batch):
    unharmed(batch)


PROVEN = [one for one in ATTACKS if one.without]


@pytest.fixture(scope="module")
def weak(course):
    return succeeds(course, PROVEN)


@pytest.mark.parametrize("attack", PROVEN, ids=str)
def test_it_succeeds_without_the_defence(weak, attack):
    assert TAKEN in said(weak[attack.name].of(attack)), said(weak[attack.name].of(attack))
