"""Answers that change what is not theirs: files, the worker, or the answer that comes next."""

from __future__ import annotations

import pytest

from tests.attacks.arena import (
    TAKEN,
    Attack,
    class_of,
    each,
    said,
    succeeds,
    tiers,
    unharmed,
    withstood,
)

OPEN = ("files", "processes")
WRITE = (
    "def put(path, text='x = 1'):\n    try:\n        with open(path, 'a') as f: f.write(text)\n"
    "    except OSError as e: print(e)\n    else: got(path)\n"
)
LEAVE = "for p in @PLACES@:\n    try: open(p + '/left-@MARK@', 'w').write('psst')\n    except OSError: pass\n"
FIND = "for p in @PLACES@:\n    if os.path.exists(p + '/left-@MARK@'): got(p)\n"


def pair(name, places, **how):
    """Return who leaves a file and who looks for it."""
    return (
        Attack(
            f"leave a file in {name}", LEAVE.replace("@PLACES@", repr(places)), harms=how.get("harms", False)
        ),
        Attack(f"find a file in {name}", FIND.replace("@PLACES@", repr(places)), **how),
    )


ATTACKS = (
    Attack("the solutions", WRITE + "put('@SOLUTIONS@/checks/c99.py', '')", without=OPEN, plain="writes"),
    Attack("a victim", WRITE + "put('@VICTIM@', '')", without=OPEN, plain="writes"),
    Attack(
        "write into a neighbour",
        WRITE + "put('@SUBMISSIONS@/000-honest/99_attacks.ipynb', '')",
        without=OPEN,
        plain="writes",
    ),
    Attack("write into the ledger", WRITE + "put('@LEDGER@', '')", without=OPEN, plain="writes"),
    Attack("write into the home", WRITE + "put('@HOME@/.profile-of-mine', '')", without=OPEN, plain="writes"),
    Attack(
        "packages",
        WRITE + "import numpy\nput(os.path.dirname(numpy.__file__) + '/../zz.pth', '')",
        harms=True,
    ),
    Attack("start of Python", WRITE + "put(sys.prefix + '/sitecustomize.py', '')", harms=True),
    Attack("standard library", WRITE + "put(os.__file__, '')", harms=True),
    Attack("caches of Python", WRITE + "put(os.__cached__, '')", harms=True),
    Attack("the worker", WRITE + "put('/carryover/worker/frames.py', '')"),
    Attack("beside the worker", WRITE + "put('/carryover/worker/nothing.py', '')", harms=True),
    Attack(
        "another worker",
        "try:\n    os.rename('/carryover', '/carryover-@MARK@'); got()\n"
        "    os.rename('/carryover-@MARK@', '/carryover')\n"
        "except OSError as e: print(e)",
        harms=True,
    ),
    Attack(
        "memory of the parent",
        "try: open(f'/proc/{os.getppid()}/mem', 'r+b', 0); got()\nexcept OSError: pass",
        plain="processes",
    ),
    *pair("tmp", ["/tmp", "/dev/shm"], plain="disk", harms=True),
    *pair("the current folder", [".", "~"], harms=True),
    *pair("the root", ["/", "/dev", "/etc", "/carryover", "/work"], harms=True),
    Attack(
        "poison an import",
        "try: open('/carryover/colorsys.py', 'w').write('poisoned = True')\nexcept OSError: pass\n",
        harms=True,
    ),
    Attack(
        "be poisoned",
        "import colorsys\nif hasattr(colorsys, 'poisoned'):\n    got(colorsys)\n"
        "    os.remove('/carryover/colorsys.py')\n",
    ),
    Attack(
        "preload a library",
        "try: open('/etc/ld.so.preload', 'w').write('/nothing.so'); got()\nexcept OSError: pass\n"
        "try: os.remove('/etc/ld.so.preload')\nexcept OSError: pass",
        harms=True,
    ),
    Attack(
        "patch NumPy for all",
        "import numpy as np, builtins\nnp.patched = builtins.patched = True\n"
        "np.mean = np.ndarray.__class__ = None\ndel np.cov",
    ),
    Attack(
        "be patched",
        "import numpy as np, builtins\n"
        "if hasattr(np, 'patched') or hasattr(builtins, 'patched') or not hasattr(np, 'cov'): got()",
    ),
    Attack(
        "patch the worker for all",
        "for n in list(sys.modules):\n    if n.startswith('worker'):\n        sys.modules[n].patched = True\n"
        "        for k in list(vars(sys.modules[n])):\n            if not k.startswith('__'):"
        " setattr(sys.modules[n], k, None)\n",
    ),
    Attack(
        "be served by a patched worker",
        "for n in list(sys.modules):\n"
        "    if n.startswith('worker') and hasattr(sys.modules[n], 'patched'): got(n)",
    ),
    Attack(
        "write into memory that is shared with the zygote",
        "import numpy as np\nctypes.memset(id(np.pi), 0, 24)",
    ),
    Attack("pi", "import numpy as np\nif np.pi != 3.141592653589793: got(np.pi)"),
    Attack("a name for the neighbour", "os.environ['LEFT'] = '1'; sys.path.insert(0, '/tmp'); os.chdir('/')"),
    Attack(
        "the name for the neighbour",
        "if 'LEFT' in os.environ or '/tmp' in sys.path or os.getcwd() == '/': got()",
    ),
)
batch = class_of(ATTACKS)


@each(ATTACKS)
def test_writing_changes_nothing(batch, attack, course):
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


def test_a_change_is_seen_from_outside_without_the_defence(course):
    spoiling = Attack("spoil", "open('@VICTIM@', 'a').write('spoiled')", without=OPEN)
    kept = course.victim.read_text()
    try:
        assert succeeds(course, [spoiling])["spoil"].changed == [str(course.victim)]
    finally:
        course.victim.write_text(kept)


def test_a_file_in_tmp_is_found_without_the_defence(course):
    leave, find = (one for one in ATTACKS if one.name.endswith("file in tmp"))
    batch = course.grade([leave, find], "sandbox", ("processes",))
    assert TAKEN in said(batch.of(find))
