"""What a forked process gives up before it executes a student's code: files, network, privileges, resources.

Linux only, through the kernel's own calls. Each step is harmless where it is not needed; a step that is
needed and fails raises, and the student's code never runs.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import resource
import struct
import sys
from pathlib import Path
from typing import Final

LIBC: Final = ctypes.CDLL(None, use_errno=True)  # loaded before any fork
NEW_NAMESPACES: Final = {"mount": 0x00020000, "user": 0x10000000, "pid": 0x20000000, "ipc": 0x08000000}
NO_NEW_PRIVILEGES, SECCOMP, FILTER = 38, 22, 2
DUMPABLE, SUBREAPER = 4, 36
READ_ONLY, NO_SUID, NO_DEVICES, REMOUNT, PRIVATE = 1, 2, 4, 32, 0x40000 | 0x4000
BIND = 0x1000 | 0x4000
STUDENT: Final = 1000
HEADROOM: Final = 512 << 20
"""Bytes of address space for threads' stacks and allocators on top of the memory limit; what is really used
is watched from outside."""
PAGES: Final = 4 << 30
"""Bytes of address space on top of the memory limit: even tables of pages that hold nothing take memory."""
HELD: Final = ("VmSize", "VmData")


def unshare() -> None:
    """Enter namespaces of our own for users, mounts and messages, and for the processes of our children."""
    inside, outside = (STUDENT, os.getuid()), (STUDENT, os.getgid())
    _checked(LIBC.unshare(sum(NEW_NAMESPACES.values())), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text("{} {} 1".format(*inside))
    Path("/proc/self/gid_map").write_text("{} {} 1".format(*outside))


def own_files(disk: int, kept: list[str]) -> None:
    """Put empty file systems of `disk` bytes where others wrote, folders `kept`; hide processes."""
    _mount(b"none", b"/", None, PRIVATE, None)
    behind = {folder: os.open(folder, os.O_PATH | os.O_DIRECTORY) for folder in kept}
    for place in (b"/tmp", b"/dev/shm"):
        options = f"size={disk},nr_inodes=4096,mode=0700".encode()
        _mount(b"tmpfs", place, b"tmpfs", NO_SUID | NO_DEVICES, options)
    for folder, handle in behind.items():
        Path(folder).mkdir(parents=True)
        _mount(f"/proc/self/fd/{handle}".encode(), folder.encode(), None, BIND, None)
        os.close(handle)
    try:
        _mount(b"proc", b"/proc", b"proc", READ_ONLY | NO_SUID | NO_DEVICES, None)
    except OSError:  # where the kernel keeps that for others, no /proc is safer than a foreign one
        _mount(b"tmpfs", b"/proc", b"tmpfs", NO_SUID | NO_DEVICES, b"size=64k,mode=0755")
        Path("/proc/self").mkdir()
        Path("/proc/self/exe").symlink_to(os.path.realpath(sys.executable))  # TensorFlow aborts without these
        Path("/proc/self/cmdline").write_bytes(b"python\0answer\0")
        _mount(b"tmpfs", b"/proc", None, REMOUNT | READ_ONLY | NO_SUID | NO_DEVICES, None)
    os.chdir("/tmp")


def limit(seconds: float, memory: int, processes: int, disk: int, base: tuple[int, int]) -> None:
    """Set the kernel's limits on this process and its children; `base` is what `held` said before."""
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_CPU, int(seconds) + 2)
    _limit(resource.RLIMIT_FSIZE, disk)
    _limit(resource.RLIMIT_NOFILE, 256)
    if sys.platform == "linux":
        size, data = base
        _limit(resource.RLIMIT_AS, size + memory + PAGES)
        _limit(resource.RLIMIT_DATA, data + memory + HEADROOM)
        if processes:
            _limit(resource.RLIMIT_NPROC, processes)


def surrender() -> None:
    """Give up capabilities and the right to gain any."""
    _checked(LIBC.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0), "no_new_privs")
    header = struct.pack("<Ii", 0x20080522, 0)
    _checked(LIBC.capset(header, bytes(24)), "capset")


def subreap() -> None:
    """Become the parent of orphans below this process, so that none is lost sight of."""
    if sys.platform == "linux":
        _checked(LIBC.prctl(SUBREAPER, 1, 0, 0, 0), "subreaper")


def hide() -> None:
    """Keep other processes of this user from looking into this one."""
    if sys.platform == "linux":
        _checked(LIBC.prctl(DUMPABLE, 0, 0, 0, 0), "dumpable")


# System calls that no exercise needs: those that reach into other processes, the kernel or its file systems,
# and those that hold memory which no limit counts. Numbers for x86-64 and for 64-bit ARM; None: not there.
DENIED: Final = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "socket": (41, 198),  # no network, and no memory in the buffers of one's own
    "socketpair": (53, 199),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "iopl": (172, None),
    "ioperm": (173, None),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "syslog": (103, 116),
    "personality": (135, 92),
}
MACHINES: Final = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
CLONE, CLONE3, MMAP = (56, 220), (435, 435), (9, 222)
SHARED, ANONYMOUS = 0x01, 0x20
CLONE_NEW_ANY = 0x7E020080
ALLOW, REFUSE = 0x7FFF0000, 0x00050000
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCHITECTURE, FIRST_ARGUMENT, FOURTH_ARGUMENT = 0, 4, 16, 40  # where a call's description has them
X32 = 0x40000000


def filter_program(machine: str) -> bytes | None:
    """Return the kernel's filter of system calls for a processor; None where its numbers are not known.

    Examples
    --------
    >>> len(filter_program("x86_64")) % 8, filter_program("pdp11")
    (0, None)
    """
    if machine not in MACHINES:
        return None
    architecture, column = MACHINES[machine]
    denied = [numbers[column] for numbers in DENIED.values() if numbers[column] is not None]
    program = [
        _step(LOAD, ARCHITECTURE),
        _step(EQUAL, architecture, 1, 0),
        _step(RETURN, REFUSE | errno.EPERM),
        _step(LOAD, NUMBER),
        _step(AT_LEAST, X32, 0, 1),  # the same calls under other numbers
        _step(RETURN, REFUSE | errno.EPERM),
    ]
    for number in denied:
        program += [_step(EQUAL, int(number or 0), 0, 1), _step(RETURN, REFUSE | errno.EPERM)]
    program += [
        _step(
            EQUAL, CLONE3[column], 0, 1
        ),  # its flags cannot be read from here; the C library then takes clone
        _step(RETURN, REFUSE | errno.ENOSYS),
        _step(EQUAL, MMAP[column], 0, 5),
        _step(LOAD, FOURTH_ARGUMENT),
        _step(ANY_BIT, ANONYMOUS, 0, 2),
        _step(ANY_BIT, SHARED, 0, 1),  # shared memory without a file: no limit counts what it holds
        _step(RETURN, REFUSE | errno.ENOMEM),
        _step(RETURN, ALLOW),
        _step(EQUAL, CLONE[column], 0, 3),
        _step(LOAD, FIRST_ARGUMENT),
        _step(ANY_BIT, CLONE_NEW_ANY, 0, 1),
        _step(RETURN, REFUSE | errno.EPERM),
        _step(RETURN, ALLOW),
    ]
    return b"".join(program)


def filter_calls() -> bool:
    """Apply the filter to this process and its children; returns whether there is one for this processor."""
    program = filter_program(platform.machine()) if sys.platform == "linux" else None
    if program is None:
        return False
    buffer = ctypes.create_string_buffer(program, len(program))
    pointer = ctypes.cast(buffer, ctypes.c_void_p).value or 0
    described = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program) // 8, pointer))
    _checked(LIBC.prctl(SECCOMP, FILTER, described, 0, 0), "seccomp")
    return True


def _step(code: int, value: int, if_so: int = 0, if_not: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_so, if_not, value)


def _mount(source: bytes, target: bytes, kind: bytes | None, flags: int, options: bytes | None) -> None:
    _checked(LIBC.mount(source, target, kind, ctypes.c_ulong(flags), options), f"mount {target.decode()}")


def _limit(what: int, value: int) -> None:
    """Lower a limit; one that is lower already stays."""
    _, highest = resource.getrlimit(what)
    if highest != resource.RLIM_INFINITY:
        value = min(value, highest)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(what, (value, value))


def held() -> tuple[int, int]:
    """Return this process's bytes of address space and of data, as the kernel's limits count them."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    told = {
        name: int(rest.split()[0]) * 1024
        for name, _, rest in (x.partition(":") for x in lines)
        if name in HELD
    }
    return told.get(HELD[0], 0), told.get(HELD[1], 0)


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
