"""Answers that claim to be right: by what they return, by what they patch, by what they send."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest

from course_lib.grading import grade as grading
from course_lib.grading.worker import frames
from tests.attacks import naive
from tests.attacks.arena import (
    CAGED,
    FULL,
    HONEST,
    SECONDS,
    STEM,
    Attack,
    caged,
    class_of,
    each,
    offered,
    replace_answers,
    tiers,
    unharmed,
    withstood,
)

HEAD = "def covariance(x):\n    "
NP = "import numpy as np\n"
SENDS = """import json, stat, struct
def channel():
    for n in range(3, 4096):
        try:
            if stat.S_ISSOCK(os.fstat(n).st_mode): return socket.socket(fileno=os.dup(n))
        except OSError: pass
    raise OSError("no channel")
def frame(tree, body=b"", header=None):
    header = json.dumps(tree).encode() if header is None else header
    data = struct.pack("<I", len(header)) + header + body
    return struct.pack("<I", len(data)) + data
def d(**pairs): return {"d": [[k, v] for k, v in pairs.items()]}
READY = frame(d(ready=True))
ZEROS = {"a": ["<f8", [3, 3]]}
def answer(number, result=ZEROS, body=bytes(72)):
    return frame(d(number=number, result=result, arguments={"t": [0]}), body)
def empty(c):
    c.setblocking(True)
"""
TALK = SENDS + "c = channel()\n"

LIES = {  # name: (source, style of the naive grader that believes it)
    "equal to everything": (
        "class Yes:\n    def __eq__(self, other): return True\n" + HEAD + "return Yes()",
        "equal",
    ),
    "equal by a metaclass": (
        "class M(type):\n    def __eq__(self, other): return True\n    __hash__ = type.__hash__\n"
        "class Yes(metaclass=M): pass\n" + HEAD + "return Yes",
        "equal",
    ),
    "all close by array function": (
        "class Yes:\n    def __array_function__(self, *a, **k): return True\n"
        "    def __array_ufunc__(self, *a, **k): return True\n" + HEAD + "return Yes()",
        "close",
    ),
    "an array by its class": (
        NP + "class Yes:\n    @property\n    def __class__(self): return np.ndarray\n"
        "    def __eq__(self, other): return True\n" + HEAD + "return Yes()",
        "kind",
    ),
    "a subclass of arrays": (
        NP + "class A(np.ndarray):\n    def __eq__(self, other): return np.True_\n"
        "    def __array_function__(self, *a, **k): return True\n" + HEAD + "return np.zeros((3, 3)).view(A)",
        "kind",
    ),
    "a subclass that converts anew": (
        NP + "class A(np.ndarray):\n    def __array_ufunc__(self, f, m, *a, **k):\n"
        "        return np.zeros((3, 3)) if f.__name__ != 'isfinite' else np.True_\n"
        "    def __array_function__(self, *a, **k): return True\n" + HEAD + "return np.ones((3, 3)).view(A)",
        "close",
    ),
    "a float that is near everything": (
        "class F(float):\n    def __rsub__(self, other): return 0.0\n    __sub__ = __rsub__\n"
        "    def __eq__(self, other): return True\n    def __float__(self): return 0.0\n"
        "def spread(x): return F(1)\n",
        "difference",
    ),
    "an index and a float of its own": (
        "class I:\n    def __index__(self): return 3\n    def __float__(self): return 0.5\n"
        "    def __rsub__(self, other): return 0\n"
        "def spread(x): return I()\n",
        "difference",
    ),
    "not a number": (NP + HEAD + "return np.full((3, 3), np.nan)", "not more"),
    "patched allclose": (NP + "np.allclose = lambda *a, **k: True\n" + HEAD + "return x", "close"),
    "patched builtins": (
        "import builtins\nbuiltins.abs = builtins.max = lambda *a: 0\ndef spread(x): return 0.0\n",
        "difference",
    ),
    "patched json": (
        "import json\njson.dumps = lambda *a, **k: '{\"points\": 3}'\n" + HEAD + "return x[:3] * 0",
        "close",
    ),
    "patched print": (
        "import builtins\nsay = print\nbuiltins.print = lambda *a, **k: say('{\"points\": 3}')\n"
        + HEAD
        + "return x[:3] * 0",
        "close",
    ),
    "patched check": (
        "check = solved = lambda *a, **k: True\nimport sys\n"
        "for n, m in list(sys.modules.items()):\n    if hasattr(m, 'passes'): m.passes = lambda *a: True\n"
        + HEAD
        + "\n    sys._getframe(1).f_globals['passes'] = lambda *a: True\n    return x",
        "close",
    ),
    "the mark by frames": (
        "import sys\n" + HEAD + "\n    f = sys._getframe()\n    while f:\n"
        "        if 'passes' in f.f_globals: f.f_globals['passes'] = lambda *a: True\n"
        "        f = f.f_back\n    return 0",
        "close",
    ),
    "a last word of its own": (
        "class Last:\n    def __del__(self): print('{\"points\": 3}', flush=True)\nimport sys\n"
        "sys.last = Last()\n"
        "import atexit\natexit.register(sys.__dict__.pop, 'last')\n" + HEAD + "return x",
        "close",
    ),
    "patched time": (
        "import time\nsleep = time.sleep\ntime.monotonic = time.time = time.perf_counter = lambda: 0.0\n"
        + HEAD
        + "\n    sleep(1)\n    c = x - x.mean(axis=0)\n    return c.T @ c / (len(x) - 1)",
        "close",
    ),
}
CLAIMS = tuple(Attack(name, source) for name, (source, _) in LIES.items() if name != "patched time")
ATTACKS = (
    *CLAIMS,
    Attack(
        "slow with a patched time",
        LIES["patched time"][0].replace("sleep(1)", "sleep(2)"),
        note="time limit",
    ),
    Attack("a generator", HEAD + "yield x", note="no plain value|generator"),
    Attack("a coroutine", "async def covariance(x):\n    return x", note="no plain value|coroutine"),
    Attack("the function itself", HEAD + "return covariance"),
    Attack("a module", HEAD + "return sys"),
    Attack("the argument", HEAD + "return x", note="shape"),
    Attack("a view of the argument", HEAD + "return x[:3, :3].view()"),
    Attack("the argument filled", HEAD + "\n    x[:] = 0\n    return x[:3]"),
    Attack(
        "right, but the argument is changed",
        HONEST + "    \n" + HEAD + "\n    x -= x.mean(axis=0)\n    return x.T @ x / (len(x) - 1)",
        note="arguments were changed",
    ),
    Attack("honest and printing", HONEST.replace("    return", "    print(x)\n    return"), earns=FULL),
    Attack(
        "honest in a big-endian array",
        HEAD + NP + "    return np.cov(x, rowvar=False).astype('>f8')",
        earns=FULL,
    ),
    Attack("honest in Fortran's order", HEAD + NP + "    return np.asfortranarray(np.cov(x.T))", earns=FULL),
    Attack(
        "honest as a subclass",
        NP + "class A(np.ndarray): pass\n" + HEAD + "return np.cov(x.T).view(A)",
        earns=FULL,
    ),
    Attack(
        "honest, patched all over",
        HONEST + "import json, struct, builtins, time\n"
        "time.sleep = builtins.print = struct.Struct = lambda *a, **k: None\n",
        earns=FULL,
    ),
    Attack("honest in half precision", HEAD + NP + "    return np.cov(x.T).astype('f2')"),
    Attack("numbers with a long tail", HEAD + NP + "    return np.cov(x.T).astype(np.longdouble)"),
    Attack("objects as numbers", HEAD + NP + "    return np.cov(x.T).astype(object)"),
    Attack("a structure as numbers", HEAD + NP + "    return np.zeros((3, 3), [('a', 'f8'), ('b', 'f8')])"),
    Attack("dates as numbers", HEAD + NP + "    return np.zeros((3, 3), 'M8[s]')"),
    Attack("void as numbers", HEAD + NP + "    return np.zeros((3, 3), 'V8')"),
    Attack("a masked array", HEAD + NP + "    return np.ma.masked_all((3, 3))"),
    Attack("infinite", HEAD + NP + "    return np.full((3, 3), np.inf)"),
    Attack("complex", HEAD + NP + "    return np.cov(x.T) * (1 + 1e-3j)"),
    Attack("a list", HEAD + NP + "    return np.cov(x.T).tolist()", note="array"),
    Attack("nothing", HEAD + "pass"),
    Attack("a true value", HEAD + "return True"),
    Attack("the word", HEAD + "return 'full points'"),
    Attack(
        "a tensor that is none",
        "class T:\n    shape = (3, 3)\n    def detach(self): return self\n"
        "    def cpu(self): return self\n    def numpy(self): return self\n"
        "    def __array__(self, *a, **k): raise SystemExit\n" + HEAD + "return T()",
    ),
    Attack(
        "a string subclass",
        "class S(str):\n    def __str__(self): return 5\n    __repr__ = __str__\n" + HEAD + "return S('x')",
    ),
    Attack(
        "a dict that changes",
        "class D(dict):\n    def items(self):\n        while True: yield 'a', 1\n" + HEAD + "return D(a=1)",
    ),
    Attack(
        "a complex that is none",
        "class C(complex):\n    real = property(lambda s: s)\n" + HEAD + "return C(1)",
    ),
    Attack(
        "patched values",
        "for n, m in list(sys.modules.items()):\n    if n.endswith('.values'):\n"
        "        m.dumps = lambda v: b'\\x04\\0\\0\\0true'\n" + HEAD + "return x",
    ),
    Attack(
        "patched frames",
        "for n, m in list(sys.modules.items()):\n    if n.endswith('.frames'):\n"
        "        m.send = lambda c, v, *a: c.send(b'full points')\n" + HEAD + "return x",
    ),
    Attack(
        "answers in advance",
        TALK + "c.sendall(READY + b''.join(answer(k) for k in range(1, 5)))",
        note="before its question",
    ),
    Attack(
        "answers in advance from the function",
        TALK + HEAD + "\n    c.sendall(b''.join(answer(k) for k in range(1, 5)))\n    time.sleep(9)",
    ),
    Attack("an answer twice", TALK + HEAD + "\n    c.sendall(answer(1) * 2)\n    time.sleep(9)"),
    Attack(
        "an answer to another question",
        TALK + HEAD + "\n    c.sendall(answer(3))\n    time.sleep(9)",
        note="nobody asked",
    ),
    Attack(
        "a number that is true",
        TALK + HEAD + "\n    c.sendall(answer(True))\n    time.sleep(9)",
        note="nobody asked",
    ),
    Attack(
        "a number that is a float",
        TALK + HEAD + "\n    c.sendall(answer(1.0))\n    time.sleep(9)",
        note="nobody asked",
    ),
    Attack(
        "points instead of an answer",
        TALK + HEAD + "\n    c.sendall(frame(d(number=1, earned=3, ok=True, problem='')))\n    time.sleep(9)",
    ),
    Attack(
        "ended instead of an answer", TALK + HEAD + "\n    c.sendall(frame(d(ended=True)))\n    time.sleep(9)"
    ),
    Attack(
        "four gigabytes announced",
        TALK + HEAD + "\n    c.sendall(b'\\xff' * 4)\n    time.sleep(9)",
        note="no message",
    ),
    Attack(
        "64 MiB announced, nothing sent",
        TALK + HEAD + "\n    c.sendall(b'\\0\\0\\0\\4')\n    time.sleep(9)",
        note="time limit",
    ),
    Attack(
        "half a frame", TALK + HEAD + "\n    c.sendall(answer(1)[:20])\n    time.sleep(9)", note="time limit"
    ),
    Attack(
        "half a frame and an end",
        TALK + HEAD + "\n    c.sendall(answer(1)[:20])\n    os._exit(0)",
        note="ended itself",
    ),
    Attack(
        "one byte a second",
        TALK + HEAD + "\n    for b in answer(1):\n        c.send(bytes([b])); time.sleep(0.5)",
        note="time limit",
    ),
    Attack(
        "a pickle",
        TALK
        + "import pickle\nclass P:\n    def __reduce__(self): return os.system, ('touch @VICTIM@.pickled',)\n"
        + HEAD
        + "\n    p = pickle.dumps(P()); c.sendall(struct.pack('<I', len(p)) + p)\n    time.sleep(9)",
        note="no message",
    ),
    Attack(
        "JSON 100000 deep",
        TALK + HEAD + "\n    c.sendall(frame(0, header=b'[' * 100_000))\n    time.sleep(9)",
        note="no message",
    ),
    Attack(
        "JSON 100000 deep and closed",
        TALK + HEAD + "\n    c.sendall(frame(0, header=b'[' * 100_000 + b']' * 100_000))\n    time.sleep(9)",
        note="no message",
    ),
    Attack(
        "JSON of many lists",
        TALK + HEAD + "\n    c.sendall(frame(0, header=b'[' + b'[],' * 200_000 + b'0]'))\n    time.sleep(9)",
    ),
    Attack(
        "a header of 10 MB",
        TALK + HEAD + "\n    c.sendall(frame(0, header=b'[' + b'0,' * 5_000_000 + b'0]'))\n    time.sleep(9)",
    ),
    Attack(
        "an array that is not there",
        TALK + HEAD + "\n    c.sendall(answer(1, {'a': ['<f8', [2**31, 2**31]]}))\n    time.sleep(9)",
        note="no message",
    ),
    Attack(
        "an array of less than nothing",
        TALK + HEAD + "\n    c.sendall(answer(1, {'a': ['<f8', [-3, -3]]}))\n    time.sleep(9)",
        note="no message",
    ),
    Attack(
        "an array of true by true",
        TALK + HEAD + "\n    c.sendall(answer(1, {'a': ['<f8', [True, 9]]}))\n    time.sleep(9)",
        note="no message",
    ),
    Attack(
        "an array of nothing by a trillion",
        TALK + HEAD + "\n    c.sendall(answer(1, {'a': ['<f8', [0, 10**12, 10**12]]}, b''))"
        "\n    time.sleep(9)",
    ),
    Attack(
        "an array of nothing by too much",
        TALK + HEAD + "\n    c.sendall(answer(1, {'a': ['<f8', [0, 10**30]]}, b''))\n    time.sleep(9)",
    ),
    Attack(
        "an array of objects",
        TALK + HEAD + "\n    c.sendall(answer(1, {'a': ['|O', [3, 3]]}))\n    time.sleep(9)",
        note="no message",
    ),
    Attack(
        "an array with a list as its type",
        TALK + HEAD + "\n    c.sendall(answer(1, {'a': [['<f8'], [3, 3]]}))\n    time.sleep(9)",
        note="no message",
    ),
    Attack(
        "bytes left over",
        TALK + HEAD + "\n    c.sendall(answer(1, body=bytes(80)))\n    time.sleep(9)",
        note="no message",
    ),
    Attack(
        "a kind that is unknown",
        TALK + HEAD + "\n    c.sendall(answer(1, {'pickle': 'x'}))\n    time.sleep(9)",
        note="no message",
    ),
    Attack(
        "a key twice",
        TALK + HEAD + "\n    c.sendall(frame({'d': [['number', 1], ['number', 1]]}))\n    time.sleep(9)",
        note="no message",
    ),
    Attack(
        "a key that is a list",
        TALK + HEAD + "\n    c.sendall(frame({'d': [[[], 1]]}))\n    time.sleep(9)",
        note="no message",
    ),
    Attack(
        "infinity as a bare word",
        TALK + HEAD + "\n    c.sendall(frame(0, header=b'Infinity'))\n    time.sleep(9)",
        note="no message",
    ),
    Attack(
        "a number of 100000 digits",
        TALK + HEAD + "\n    c.sendall(frame(0, header=b'9' * 100_000))\n    time.sleep(9)",
        note="no message",
    ),
    Attack(
        "text of no encoding",
        TALK + HEAD + "\n    c.sendall(frame(0, header=b'\"\\xff\\xfe\"'))\n    time.sleep(9)",
        note="no message",
    ),
    Attack(
        "a frame of nothing", TALK + HEAD + "\n    c.sendall(bytes(4))\n    time.sleep(9)", note="no message"
    ),
    Attack("frames without end", TALK + HEAD + "\n    while True: c.sendall(answer(1))"),
    Attack("noise", TALK + HEAD + "\n    while True: c.sendall(os.urandom(4096))"),
    Attack("the channel closed", TALK + HEAD + "\n    c.shutdown(2)\n    time.sleep(9)", note="ended itself"),
    Attack("the channel never read", TALK + "c.sendall(READY)\ntime.sleep(9)"),
    Attack(
        "files sent along",
        TALK + HEAD + "\n    socket.send_fds(c, [answer(1)], [0, 1, 2] * 50)\n    time.sleep(9)",
    ),
    Attack(
        "an error of wrong types",
        TALK + HEAD + "\n    c.sendall(frame(d(number=1, error=d(type=[1], words={'t': []}, line='x'))))"
        "\n    time.sleep(9)",
    ),
    Attack(
        "an error of a forged kind",
        TALK
        + HEAD
        + "\n    c.sendall(frame(d(number=1, error=d(type='<script>', words='x' * 10**6, line=10**9))))"
        "\n    time.sleep(9)",
    ),
    Attack(
        "a handler at the end",
        "import atexit\natexit.register(os.write, 1, b'points: 3')\n" + HEAD + "return x",
    ),
    Attack(
        "a thread that answers",
        TALK + "import threading\ndef send():\n"
        "    while True:\n        try: c.sendall(answer(2)); time.sleep(0.01)\n"
        "        except OSError: return\n"
        + HEAD
        + "\n    threading.Thread(target=send, daemon=True).start()\n    return x",
    ),
)
batch = class_of(ATTACKS, jobs=6, cold_neighbours=12)


@each(ATTACKS)
def test_a_lie_gains_nothing(batch, attack, course):
    withstood(batch, attack, course.secret)


@tiers()
def test_the_others_are_unharmed(batch, course):
    unharmed(batch)
    assert not course.victim.with_name("victim.txt.pickled").exists()


@pytest.mark.parametrize("name", LIES)
def test_a_naive_grader_believes_it(name):
    source, style = LIES[name]
    assert naive.points(source, style) == FULL


def test_a_naive_grader_still_fails_a_wrong_answer():
    assert naive.points(HEAD + "return x[:3] * 0", "close") == 0
    assert naive.points(HONEST, "close") == FULL


# What the grader itself must survive: an answer that breaks marking or the ledger would end the whole batch.
BREAKING = {
    "an integer of 40 digits": ("def spread(x): return 10**40\n"),
    "half a character in an error": (HEAD + "raise ValueError('\\ud800')"),
    "half a character in the source": ("name = 'HALF'\n" + HEAD + "return x"),
    "half a character as a kind of error": (
        TALK
        + HEAD
        + "\n    c.sendall(frame(d(number=1, error=d(type='\\ud800', words='', line=1))))\n    time.sleep(9)"
    ),
}


@pytest.mark.parametrize("tier", CAGED)
@pytest.mark.parametrize("name", BREAKING)
def test_no_answer_breaks_the_marking(course, name, tier):
    offered(tier)
    source = BREAKING[name]
    if "HALF" in source:
        source = source.replace("HALF", b"\\ud800".decode("unicode_escape"))
    attack = Attack(name, source)
    batch = course.grade([attack], tier)
    withstood(batch, attack, course.secret)
    unharmed(batch)


@pytest.mark.parametrize("tier", CAGED)
def test_urgent_data_does_not_stop_the_clock(course, tier):
    offered(tier)
    urgent = Attack("urgent", TALK + "c.send(b'!', socket.MSG_OOB)\ntime.sleep(5)\nos._exit(0)\n")
    batch = course.grade([urgent], tier)
    unharmed(batch)
    assert batch.seconds < SECONDS + 2.5


def test_a_trickle_does_not_stop_the_clock():
    mine, theirs = socket.socketpair()
    end = time.monotonic() + 2

    def trickle():
        with theirs, contextlib.suppress(OSError):
            theirs.sendall(bytes([0, 0, 0, 4]))
            while time.monotonic() < end:
                theirs.sendall(b"x" * 8)
                time.sleep(0.0005)

    thread = threading.Thread(target=trickle)
    thread.start()
    start = time.monotonic()
    try:
        with pytest.raises((frames.Silent, frames.Gone)):
            frames.receive(mine, start + 0.3)
        assert time.monotonic() - start < 1
    finally:
        mine.close()
        thread.join()


# Hidden inputs in what the grader says of hidden cases: the student writes what the grader then repeats.
SIGN = "def sign(x): return ''.join(str(int(abs(v) * 1000)) for v in x.ravel()[:3])\n"
TOLD = {
    "words of an error": (SIGN + HEAD + "raise ValueError('Z' + sign(x))"),
    "words of a plain refusal": SIGN + HEAD + "return type('Z' + sign(x), (), {})()",
    "name of an error": (SIGN + HEAD + "raise type('Z' + sign(x), (Exception,), {})"),
    "length of a list": (SIGN + HEAD + "return [0] * int(abs(x[0, 0]) * 1000)"),
    "shape of an array": (
        SIGN + NP + HEAD + "return np.zeros((0, *(int(abs(v) * 1000) for v in x.ravel()[:3])))"
    ),
}


def hidden_signs(course, student):
    from course_lib.grading.marking import Paper, cases_of, seed_of

    paper = Paper.load(course.solutions, course.solutions / f"{STEM}.ipynb")
    cases = cases_of(paper.exercises["99.1"], seed_of(int(course.secret[-8:], 16), student), True)
    return [
        [str(int(abs(v) * 1000)) for v in case.arguments[0].ravel()[:3]] for case in cases if not case.visible
    ]


@pytest.mark.parametrize("name", TOLD)
def test_hidden_inputs_do_not_come_back_in_words(course, name):
    source = TOLD[name]
    graded = course.submit(source, caged())
    told = replace_answers(graded)
    for signs in hidden_signs(course, graded.student):
        assert "".join(signs) not in told
        assert not all(sign in told for sign in signs)


def test_plain_keeps_hidden_cases_to_itself_unless_told_otherwise(course, tmp_path):
    student = tmp_path / "submissions" / "eve"
    student.mkdir(parents=True)
    (student / f"{STEM}.ipynb").write_text(course.notebook(("99-1-answer", HONEST)))
    spoken = []
    result = grading.grade(
        tmp_path / "submissions",
        tmp_path / "out",
        solutions=course.solutions,
        tier="plain",
        say=spoken.append,
    )
    (graded,) = result.graded
    assert not graded.hidden
    assert all(verdict.visible for one in graded.results for verdict in one.verdicts)
    assert grading.NOT_HIDDEN in spoken
