"""Answers that end themselves, their surroundings, or nothing at all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.attacks.arena import HONEST, Attack, class_of, each, tiers, unharmed, withstood

HEAD = "def covariance(x):\n    "
KILLS = "processes"

ATTACKS = (
    Attack("os exit in the cell", "import os\nos._exit(0)", note="ended itself"),
    Attack("os exit in the function", HEAD + "os._exit(0)", note="ended itself"),
    Attack("sys exit in the cell", "import sys\nsys.exit(0)", note="SystemExit"),
    Attack("sys exit in the function", HEAD + "sys.exit(0)", note="SystemExit"),
    Attack("quit after an honest answer", HONEST + "import atexit\natexit.register(os._exit, 0)", earns=3.0),
    Attack("raise SystemExit", HEAD + "raise SystemExit('full points')", note="SystemExit"),
    Attack("raise KeyboardInterrupt", HEAD + "raise KeyboardInterrupt", note="KeyboardInterrupt"),
    Attack("raise GeneratorExit", HEAD + "raise GeneratorExit", note="GeneratorExit"),
    Attack(
        "error without words",
        "class E(Exception):\n    def __str__(self): raise E\n    __repr__ = __str__\n" + HEAD + "raise E",
    ),
    Attack(
        "error that exits", "class E(Exception):\n    def __str__(self): os._exit(0)\n" + HEAD + "raise E"
    ),
    Attack("base exception", "class E(BaseException): pass\n" + HEAD + "raise E"),
    Attack("error with a traceback of itself", HEAD + "e = ValueError(); e.__cause__ = e; raise e"),
    Attack("error of ten million letters", HEAD + "raise ValueError('x' * 10_000_000)"),
    Attack("recursion", HEAD + "return covariance(x)", note="RecursionError"),
    Attack(
        "recursion without a limit",
        "sys.setrecursionlimit(10**9)\n" + HEAD + "return covariance(x)",
    ),
    Attack("segmentation fault", HEAD + "ctypes.string_at(0)", note="ended itself"),
    Attack("abort", HEAD + "os.abort()", note="ended itself"),
    Attack("illegal stack", HEAD + "ctypes.CDLL(None).longjmp(ctypes.create_string_buffer(400), 1)"),
    Attack("kill itself", HEAD + "os.kill(os.getpid(), 9)"),
    Attack("stop itself", HEAD + "os.kill(os.getpid(), 19); time.sleep(60)", note="time limit|expected"),
    Attack(
        "kill the parent", HEAD + "os.kill(os.getppid(), 9); time.sleep(60)", plain=KILLS, harms=True
    ),  # the zygote, in plain: tried by test_plain in its own words
    Attack("stop the parent", HEAD + "os.kill(os.getppid(), 19); return x", plain=KILLS, harms=True),
    Attack("kill process 1", HEAD + "os.kill(1, 9); time.sleep(60)", harms=True),
    Attack("kill everybody", HEAD + "os.kill(-1, 9); time.sleep(60)", harms=True),
    Attack("kill the group", HEAD + "os.killpg(0, 9)"),
    Attack("loop", HEAD + "while True: pass", note="time limit|ended itself"),
    Attack(
        "loop deaf to signals",
        "import signal\nfor k in range(1, 65):\n    try: signal.signal(k, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\n" + HEAD + "\n    while True: pass",
        note="time limit|ended itself",
    ),
    Attack("loop in C", HEAD + "return sum(iter(int, 1))", note="time limit|ended itself"),
    Attack("loop in the cell", "while True: pass", note="time limit|ended itself"),
    Attack(
        "loop in an error", "class E(Exception):\n    def __str__(self):\n        while True: pass\nraise E"
    ),
    Attack("sleep", HEAD + "time.sleep(3600)", note="time limit"),
    Attack("sleep in vfork", HEAD + "ctypes.CDLL(None).system(b'sleep 3600')", note="time limit"),
    Attack(
        "catastrophic pattern", HEAD + "import re; re.match(r'(a+)+$', 'a' * 64 + 'b')", note="time limit"
    ),
    Attack("wait for input", HEAD + "return input()", note="EOFError"),
    Attack("close every file", HEAD + "os.closerange(0, 65536); return x"),
    Attack(
        "no more memory for errors",
        HEAD + "import sys; sys.excepthook = None; sys.stderr = None; raise MemoryError",
    ),
)


batch = class_of(ATTACKS, jobs=8)


@each(ATTACKS)
def test_an_end_gains_nothing(batch, attack, course):
    withstood(batch, attack, course.secret)


@tiers()
def test_the_others_are_unharmed(batch):
    unharmed(batch)
    assert batch.seconds < 90


@pytest.mark.parametrize(
    ("source", "style"),
    [
        ("import os\ndef covariance(x):\n    print('{\"points\": 3}', flush=True)\n    os._exit(0)", "close"),
        (
            "import atexit\natexit.register(print, '{\"points\": 3}')\ndef covariance(x):\n    return x",
            "close",
        ),
        ("def covariance(x):\n    import sys\n    print('{\"points\": 3}')\n    sys.exit(0)", "close"),
    ],
    ids=["os-exit", "atexit", "sys-exit"],
)
def test_a_naive_grader_believes_an_end(source, style):
    from tests.attacks import naive

    assert naive.points(source, style) == 3


def test_a_naive_grader_hangs():
    program = Path(__file__).with_name("naive.py")
    told = json.dumps(["def covariance(x):\n    while True: pass", "close"])
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run([sys.executable, program], input=told, text=True, capture_output=True, timeout=2)
