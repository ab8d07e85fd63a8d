"""Answers that look for the solutions, the neighbours, the grades and the teacher's secrets."""

from __future__ import annotations

import pytest

from tests.attacks.arena import (
    CAGED,
    FULL,
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

OPEN = ("files", "processes")
SEEN = ("processes",)
READ = (
    "def told(path):\n    try: got(open(path, 'rb').read(3000)[-1200:])\n    except OSError as e: print(e)\n"
)
SOLVED = """import glob, json
for path in glob.glob("@SOLUTIONS@/*.ipynb"):
    for cell in json.load(open(path))["cells"]:
        if cell["id"] == "99-1-answer":
            exec("".join(cell["source"]))
            got("solution")
covariance = globals().get("covariance")
"""
ATTACKS = (
    Attack("solutions by path", READ + "told('@SOLUTIONS@/99_attacks.ipynb')", without=OPEN, plain="reads"),
    Attack("checks by path", READ + "told('@SOLUTIONS@/checks/c99.py')", without=OPEN, plain="reads"),
    Attack(
        "a neighbour", READ + "told('@SUBMISSIONS@/000-honest/99_attacks.ipynb')", without=OPEN, plain="reads"
    ),
    Attack("the ledger", READ + "told('@LEDGER@')", without=OPEN, plain="reads"),
    Attack("the home", READ + "told('@HOME@/notes.txt')", without=OPEN, plain="reads"),
    Attack("accounts", READ + "told('/etc/passwd')", without=OPEN, plain="reads"),
    Attack(
        "the whole tree",
        # The folder that holds the course comes first and the walk ends with the find: outside of a sandbox,
        # the size of the machine's other folders would decide whether the time limit comes before it.
        "tops = ['@SOLUTIONS@'.rsplit('/', 1)[0]]\n"
        "tops += ['/home', '/root', '/work', '/srv', '/mnt', '/opt', '/var', '/tmp']\n"
        "for place, folders, names in (seen for top in tops for seen in os.walk(top)):\n"
        "    folders[:] = [f for f in folders if f not in ('site-packages', 'lib', 'node_modules')"
        " and (place.startswith(tops[0]) or place.count('/') < 6)]\n"
        "    if '99_attacks.ipynb' in names: got(place); break\n",
        without=OPEN,
        plain="reads",
        slow=True,
    ),
    Attack(
        "the tree of every process",
        "for k in ['self', *range(1, 40)]:\n"
        "    if os.path.exists(f'/proc/{k}/root@SOLUTIONS@/checks'): got(k)\n",
        without=OPEN,
        plain="reads",
    ),
    Attack(
        "the folder of every process",
        "for k in range(1, 40):\n    if k != os.getpid():\n"
        "        try: got(k, os.listdir(f'/proc/{k}/cwd/../../..@SOLUTIONS@'))\n"
        "        except OSError: pass\n",
        plain="processes",
    ),
    Attack(
        "environments of processes",
        "for k in os.listdir('/proc'):\n    if k.isdigit():\n"
        "        try: text = open(f'/proc/{k}/environ', 'rb').read()\n"
        "        except OSError: continue\n"
        "        if b'CARRYOVER_TOKEN' in text or b'@MARK@' in text: got(k, text[-600:])\n",
        plain="processes",
        slow=True,
    ),
    Attack(
        "the environment", "for k, v in os.environ.items():\n    if 'TOKEN' in k or 'KEY' in k: got(k, v)"
    ),
    Attack(
        "the environment in C",
        "libc = ctypes.CDLL(None); libc.getenv.restype = ctypes.c_char_p\n"
        "if libc.getenv(b'CARRYOVER_TOKEN'): got(libc.getenv(b'CARRYOVER_TOKEN'))",
    ),
    Attack(
        "memory of the parent",
        "try:\n    for k in {os.getppid(), 1, 2} - {os.getpid(), 0}:\n"
        "        with open(f'/proc/{k}/mem', 'rb', 0) as f: got(k)\nexcept OSError as e: print(e)\n",
        plain="processes",
    ),
    Attack(
        "files of the parent",
        "for k in {os.getppid(), 1, 2} - {os.getpid(), 0}:\n    for n in range(3, 40):\n"
        "        try: got(k, n, open(f'/proc/{k}/fd/{n}', 'rb', 0).read(100))\n"
        "        except OSError: pass\n",
    ),
    Attack(
        "commands of processes",
        "for k in range(1, 5000):\n    try: text = open(f'/proc/{k}/cmdline', 'rb').read()\n"
        "    except OSError: continue\n"
        "    if b'pytest' in text or b'solutions' in text: got(k, text[:300])\n",
        plain="processes",
        slow=True,
    ),
    Attack("the library", "import course_lib\ngot(course_lib)", without=(), plain="reads", harms=True),
    Attack(
        "the library by path",
        "import importlib.util\n"
        "p = '@LIBRARY@/grading/marking.py'\nif os.path.exists(p): got(open(p).read()[:80])\nelse: 1/0",
        without=OPEN,
        plain="reads",
    ),
    Attack(
        "checks as a module",
        "sys.path.insert(0, '@SOLUTIONS@/checks')\ntry:\n    import c99\n    got(c99)\n"
        "except (ImportError, OSError) as e: print(type(e))\n",
        plain="reads",
    ),
    Attack("solution executed", SOLVED, without=OPEN, plain="reads"),
    Attack(
        "frames up to the root",
        "def covariance(x):\n    f = sys._getframe()\n    while f:\n"
        "        for v in list(f.f_locals.values()) + list(f.f_globals.values()):\n"
        "            if type(v).__name__ in ('Expectation', 'Case', 'Work', 'Paper'): return v.value\n"
        "            if isinstance(v, dict) and 'expected' in v: return v['expected']\n"
        "        if 'expected' in f.f_locals: return f.f_locals['expected']\n        f = f.f_back\n"
        "    return x\n",
    ),
    Attack(
        "everything that is collected",
        "import gc\ndef covariance(x):\n    gc.unfreeze()\n    for o in gc.get_objects():\n"
        "        if type(o).__name__ in ('Expectation', 'Case', 'Verdict'): return o.value\n"
        "        if type(o) is list and o and type(o[0]) is dict and 'expected' in o[0]:\n"
        "            return next(case['expected'] for case in o if case['x'] is x)\n    return x\n",
    ),
    Attack(
        "modules of the grader",
        "for m in sys.modules:\n"
        "    if m.startswith(('course_lib', 'carryover_checks', 'nbformat', '_pytest')): got(m)",
    ),
    Attack(
        "inherited files",
        "import stat\nfor n in range(3, 4096):\n    try: s = os.fstat(n)\n    except OSError: continue\n"
        "    if not stat.S_ISSOCK(s.st_mode): got(n, s)\n",
    ),
    Attack(
        "sockets of the zygote",
        "import stat\nfound = []\nfor n in range(3, 4096):\n    try:\n"
        "        if stat.S_ISSOCK(os.fstat(n).st_mode): found.append(n)\n    except OSError: pass\n"
        "if len(found) != 1: got(found)\n",
    ),
    Attack(
        "a socket of the zygote from memory",
        "import gc, socket\ngc.unfreeze()\n"
        "held = [o for o in gc.get_objects() if isinstance(o, socket.socket) and o.fileno() >= 0]\n"
        "if len(held) > 1: got(held)\n",
    ),
    Attack(
        "the secret in memory",
        "import gc\ngc.unfreeze()\n"
        "for o in gc.get_objects():\n    if type(o) is dict:\n        for v in o.values():\n"
        "            if type(v) is str and v.startswith('secret-'): got(v)\n",
    ),
    Attack(
        "source lines of others",
        "import linecache\nfor n, v in linecache.cache.items():\n"
        "    if n not in ('<set-up>', '<your answer>', '<your other cells>'): got(n)",
    ),
)
batch = class_of(ATTACKS, jobs=2)


@each(ATTACKS)
def test_looking_about_finds_nothing(batch, attack, course):
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
    assert TAKEN in said(weak[attack.name].of(attack)), weak[attack.name].of(attack).results


def test_the_solution_is_worth_full_points_without_the_defence(course):
    assert course.submit(SOLVED, caged(), OPEN).earned == FULL


@pytest.mark.parametrize("name", ["frames up to the root", "everything that is collected"])
def test_a_naive_grader_holds_the_expected_values(name):
    from tests.attacks import naive

    attack = next(one for one in ATTACKS if one.name == name)
    assert naive.points("import sys\n" + attack.source, "close") == FULL


def test_the_environment_of_a_naive_grader_is_the_teachers(course):
    from tests.attacks import naive

    source = (
        "import os\nif 'CARRYOVER_TOKEN' in os.environ: print('{\"points\": 7}')\ndef covariance(x): return x"
    )
    assert naive.points(source.replace("7}')", "7}', flush=True); os._exit(0)"), "close") == 7


@pytest.mark.parametrize("tier", CAGED)
def test_hidden_inputs_that_are_printed_reach_nobody(course, tier):
    graded = course.submit(
        "def covariance(x):\n    print('HIDDEN', x.tolist(), flush=True)\n    return x", tier
    )
    assert "HIDDEN" not in graded.as_json().replace("print('HIDDEN'", "")
