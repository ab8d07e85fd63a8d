"""Grading a class against nbgrader: the same notebooks, the same answers, the same points."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import metadata, util
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil

from course_lib.bench.figures import Figure, Pairs, alternate
from course_lib.errors import CourseError

NUMBER: Final = "91"
STEM: Final = f"{NUMBER}_bench"
ASSIGNMENT: Final = "bench"
REMARK: Final = "a remark"
"""What is replaced so that no two submissions are the same, as among people."""

QUIET: Final = "TF_CPP_MIN_LOG_LEVEL"
WAIT: Final = 0.2
"""Seconds between two looks at the memory of all processes."""


@dataclass(frozen=True)
class Answer:
    """An exercise made for measuring: a function of one matrix, and what is expected of it.

    Attributes
    ----------
    function : str
    body : str
        What stands between the marks of the solution.
    expected : str
        The same in NumPy or SciPy's own words, for the checks.
    points : int
    """

    function: str
    body: str
    expected: str
    points: int = 3


@dataclass(frozen=True)
class Kind:
    """A notebook made for measuring.

    Attributes
    ----------
    name, goal : str
    imports : str
        Lines of its set-up cell.
    tensors : str
        What its functions receive.
    answers : tuple of Answer
    copies : int
        How many nbgrader grades in one run; it starts a kernel for each, so that the time per copy hardly
        depends on their number.
    """

    name: str
    goal: str
    imports: str
    tensors: str
    answers: tuple[Answer, ...]
    copies: int


EXPECTED: Final = {
    "covariance": "np.cov(x, rowvar=False)",
    "standardised": "(x - x.mean(axis=0)) / x.std(axis=0)",
    "probabilities": "softmax(x, axis=1)",
}


def _answers(*bodies: str) -> tuple[Answer, ...]:
    return tuple(
        Answer(name, body, expected) for (name, expected), body in zip(EXPECTED.items(), bodies, strict=True)
    )


KINDS: Final = (
    Kind(
        "NumPy",
        "at least 8 ×",
        "import numpy as np",
        "numpy",
        _answers(
            "centred = x - x.mean(axis=0)\nreturn centred.T @ centred / (len(x) - 1)",
            "return (x - x.mean(axis=0)) / x.std(axis=0)",
            "e = np.exp(x - x.max(axis=1, keepdims=True))\nreturn e / e.sum(axis=1, keepdims=True)",
        ),
        copies=10,
    ),
    Kind(
        "TensorFlow and Keras",
        "at least 15 ×",
        "import keras\nimport numpy as np\nimport tensorflow as tf",
        "tensorflow",
        _answers(
            "centred = x - tf.reduce_mean(x, axis=0)\nreturn tf.transpose(centred) @ centred / (len(x) - 1)",
            "return (x - keras.ops.mean(x, axis=0)) / keras.ops.std(x, axis=0)",
            "return tf.nn.softmax(x, axis=1)",
        ),
        copies=4,
    ),
    Kind(
        "PyTorch",
        "at least 15 ×",
        "import numpy as np\nimport torch",
        "torch",
        _answers(
            "centred = x - x.mean(dim=0)\nreturn centred.T @ centred / (len(x) - 1)",
            "return (x - x.mean(dim=0)) / x.std(dim=0, correction=0)",
            "return torch.softmax(x, dim=1)",
        ),
        copies=4,
    ),
)


def grading(quick: bool = False) -> list[Figure]:
    """Compare ``grade`` with ``nbgrader autograde`` on one core, then grade a large class on two."""
    if util.find_spec("nbgrader") is None:
        raise CourseError(
            "nbgrader is not installed; grading is compared with it.", "Run `pip install nbgrader==0.9.6`."
        )
    figures = []
    for kind in KINDS[:1] if quick else KINDS:
        figures.append(_against_nbgrader(kind, copies=3 if quick else 50, repeats=1 if quick else 3))
    return [*figures, *_large_class(20 if quick else 1000)]


def _against_nbgrader(kind: Kind, copies: int, repeats: int) -> Figure:
    """Return submissions a minute on one core, and how many times nbgrader's that is."""
    theirs = min(kind.copies, copies)
    with _course(kind, copies, theirs) as course, _cores(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SQLAlchemy's, about nbgrader
        course.ours()  # both once beforehand: compiled files, the probe of the sandbox, the database
        course.nbgrader()
        pairs = alternate(course.ours, course.nbgrader, repeats)
    each = Pairs(
        tuple(seconds / copies for seconds in pairs.ours), tuple(seconds / theirs for seconds in pairs.rival)
    )
    ours, rival = float(np.median(each.ours)), float(np.median(each.rival))
    return Figure(
        "grading",
        f"grading a notebook of three exercises, {kind.name}, one core",
        60 / ours,
        "submissions/min",
        "nbgrader autograde",
        *each.times_faster,
        goal=kind.goal,
        note=(
            f"{ours:.2f} s a submission against {rival:.2f} s; {copies} copies of ours and {theirs} of "
            f"theirs in a run, {repeats} runs in turn, bound to one core, sandbox: {course.tier}; nbgrader "
            f"{metadata.version('nbgrader')} in one call of its Python interface, which starts a kernel for "
            "each copy; all are solved, both give full points. Counted: from the call to the last result, "
            "with the start and the imports of our worker"
        ),
    )


@dataclass
class Course:
    """A teacher's folder, a class, and nbgrader's folder of the same.

    Attributes
    ----------
    folder : pathlib.Path
    full : float
        Points of a submission that solves everything.
    tier : str
        Of the sandbox, once something was graded.
    """

    folder: Path
    full: float
    copies: int
    theirs: int
    tier: str = ""

    def ours(self) -> None:
        """Grade every submission, with an empty ledger.

        Raises
        ------
        RuntimeError
            When points are wrong.
        """
        from course_lib.grading.grade import grade

        shutil.rmtree(self.folder / "grades", ignore_errors=True)
        result = grade(
            self.folder / "submissions",
            self.folder / "grades",
            solutions=self.folder / "solutions",
            seed=1,
            jobs=1,
            say=lambda _: None,
        )
        self.tier = result.tier
        earned = [one.earned for one in result.graded]
        if earned != [self.full] * self.copies:
            raise RuntimeError(f"Full answers earned {earned}, expected {self.full}.")

    def nbgrader(self) -> None:
        """Have nbgrader grade its submissions, all in one call.

        Raises
        ------
        RuntimeError
            When it fails, or points are wrong.
        """
        api = nbgrader_api(self.folder / "nbgrader")
        told = api.autograde(ASSIGNMENT, "*")
        if not told["success"]:
            raise RuntimeError(f"nbgrader autograde failed:\n{told.get('error')}\n{told.get('log')}")
        with api.gradebook as book:
            earned = [one.score for one in book.assignment_submissions(ASSIGNMENT)]
        if earned != [self.full] * self.theirs:
            raise RuntimeError(f"Under nbgrader full answers earned {earned}, expected {self.full}.")


@contextlib.contextmanager
def _course(kind: Kind, copies: int, theirs: int) -> Iterator[Course]:
    """Make a course in a folder of its own, which is gone afterwards."""
    before = {name: os.environ.get(name) for name in ("COURSE_SOLUTIONS", "COURSE_STATE", "PATH", QUIET)}
    with tempfile.TemporaryDirectory(prefix="carryover-bench-") as place:
        folder = Path(place)
        try:
            # where nbgrader's kernels find the checks, and nbgrader finds alembic
            os.environ["COURSE_SOLUTIONS"] = str(folder / "solutions")
            os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{before['PATH'] or ''}"
            os.environ["COURSE_STATE"] = str(folder / "state")
            os.environ[QUIET] = "3"
            write_course(folder, kind, copies)
            _write_nbgrader(folder, theirs)
            yield Course(folder, float(sum(one.points for one in kind.answers)), copies, theirs)
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


def write_course(folder: Path, kind: Kind, copies: int) -> None:
    """Write ``solutions``, the ``exercises`` made of them, and a class that solved everything."""
    from course_lib.grading.release import make_exercises

    checks = folder / "solutions" / "checks"
    checks.mkdir(parents=True)
    (checks / f"c{NUMBER}.py").write_text(checks_of(kind), encoding="utf-8")
    (folder / "solutions" / f"{STEM}.ipynb").write_text(notebook_of(kind), encoding="utf-8")
    make_exercises(folder / "solutions", folder / "exercises")
    text = solved(folder / "solutions" / f"{STEM}.ipynb")
    for number in range(copies):
        hand_in(folder, number, text.replace(REMARK, f"by {number}"))


def student(number: int) -> str:
    """Return a student's name."""
    return f"student-{number:04}"


def hand_in(folder: Path, number: int, text: str) -> None:
    """Write a submission."""
    there = folder / "submissions" / student(number)
    there.mkdir(parents=True, exist_ok=True)
    (there / f"{STEM}.ipynb").write_text(text, encoding="utf-8")


def solved(path: Path) -> str:
    """Return a solution notebook as one hands it in who solved everything; each answer ends in `REMARK`."""
    import nbformat

    from course_lib.grading import source

    original = source.read(path)
    made = source.without_answers(original, path.name)
    for cell, full in zip(made.cells, original.cells, strict=True):
        if cell.id.endswith("-answer"):
            cell.source = f"{source.solution(full.source)}\n# {REMARK}"
    return str(nbformat.writes(made))  # type: ignore[no-untyped-call]


def notebook_of(kind: Kind) -> str:
    """Return the text of the solution notebook."""
    import nbformat

    setup = f"{kind.imports}\n\nfrom course_lib.grading import check"
    cells = [_cell("title", "markdown", f"# {NUMBER} · Exercises"), _cell("setup", "code", setup)]
    for number, answer in enumerate(kind.answers, 1):
        cells += _cells(number, answer)
    made = nbformat.v4.new_notebook(cells=cells)  # type: ignore[no-untyped-call]
    made.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return str(nbformat.writes(made))  # type: ignore[no-untyped-call]


def _cells(number: int, answer: Answer) -> list[Any]:
    """Return the four cells of an exercise."""
    name = f"{NUMBER}.{number}"
    heading = f"## {name} · {answer.function}\n\n*★ · 5 minutes · {answer.points} points*\n\nWrite it."
    body = textwrap.indent(f"### BEGIN SOLUTION\n{answer.body}\n### END SOLUTION", "    ")
    hidden = f'### BEGIN HIDDEN TESTS\ncheck("{name}", hidden=True)\n### END HIDDEN TESTS'
    return [
        _cell(f"{number}-text", "markdown", heading),
        _cell(f"{number}-answer", "code", f'def {answer.function}(x):\n    """Answer."""\n{body}'),
        _cell(f"{number}-hints", "markdown", "<details><summary>Hint 1</summary>\n\nRead.\n\n</details>"),
        _cell(f"{number}-check", "code", f'check("{name}")\n{hidden}', answer.points),
    ]


def _cell(key: str, kind: str, source: str, points: int | None = None) -> Any:
    """Return a cell with its name and nbgrader's marks."""
    import nbformat

    make = nbformat.v4.new_code_cell if kind == "code" else nbformat.v4.new_markdown_cell
    cell = make(source)  # type: ignore[no-untyped-call]
    answer, check = key.endswith("-answer"), key.endswith("-check")
    cell.id = f"{NUMBER}-{key}"
    cell.metadata["nbgrader"] = {
        "grade": check,
        "grade_id": cell.id,
        "locked": not answer,
        "schema_version": 3,
        "solution": answer,
        "task": False,
    } | ({} if points is None else {"points": points})
    return cell


def checks_of(kind: Kind) -> str:
    """Return the text of the checks: two visible and four hidden cases for each exercise."""
    head = '''"""Checks made for measuring."""
import numpy as np
from scipy.special import softmax

from course_lib.grading import Case, Exercise, close

'''
    parts, names = [], []
    for number, answer in enumerate(kind.answers, 1):
        parts.append(
            f"def cases_{number}(rng):\n"
            "    for rows in (2, 20, 3, 7, 50, 200):\n"
            "        x = rng.normal(size=(rows, 3)) + 5\n"
            f"        expected = close({answer.expected})\n"
            '        yield Case(f"{rows} rows", (x,), expected, visible=rows in (2, 20))\n\n'
        )
        names.append(
            f'Exercise("{NUMBER}.{number}", "{answer.function}", cases_{number}, tensors="{kind.tensors}")'
        )
    return f"{head}{''.join(parts)}\nEXERCISES = [{', '.join(names)}]\n"


def _write_nbgrader(folder: Path, copies: int) -> None:
    """Write nbgrader's folder: the solution unchanged, visible cases beside it, the first submissions."""
    place = folder / "nbgrader"
    source = place / "source" / ASSIGNMENT
    source.mkdir(parents=True)
    shutil.copy(folder / "solutions" / f"{STEM}.ipynb", source)
    shutil.copytree(folder / "exercises" / "cases", source / "cases")
    told = nbgrader_api(place).generate_assignment(ASSIGNMENT)
    if not told["success"]:
        raise RuntimeError(f"nbgrader generate_assignment failed:\n{told.get('error')}\n{told.get('log')}")
    for number in range(copies):
        there = place / "submitted" / student(number) / ASSIGNMENT
        there.mkdir(parents=True)
        shutil.copy(folder / "submissions" / student(number) / f"{STEM}.ipynb", there)


def nbgrader_api(folder: Path) -> Any:
    """Return nbgrader's Python interface to a course folder."""
    from nbgrader.apps import NbGraderAPI
    from nbgrader.coursedir import CourseDirectory
    from traitlets.config import Config

    config = Config()
    config.Execute.extra_arguments = ["--IPKernelApp.log_level=ERROR"]  # the default set-up warns each time
    config.CourseDirectory.root = str(folder)
    config.CourseDirectory.db_url = f"sqlite:///{folder / 'gradebook.db'}"
    return NbGraderAPI(CourseDirectory(config=config), config=config)


@contextlib.contextmanager
def _cores(number: int) -> Iterator[None]:
    """Bind this process and what it starts to so many cores, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[-number:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


GRADING: Final = """
import sys
from pathlib import Path
from course_lib.grading.grade import grade

def main():
    folder = Path(sys.argv[1])
    result = grade(folder / "submissions", folder / "grades", solutions=folder / "solutions", seed=1, jobs=2)
    assert all(one.earned == one.points for one in result.graded), "full answers earned less"
    print(len(result.graded))

main()
"""


def _large_class(copies: int) -> list[Figure]:
    """Grade many submissions of one exercise with two jobs, then again after one change."""
    kind = replace(KINDS[0], answers=KINDS[0].answers[:1])
    with tempfile.TemporaryDirectory(prefix="carryover-bench-") as place:
        folder = Path(place)
        write_course(folder, kind, copies)
        with _cores(2):
            seconds, memory = _watched(folder)
        hand_in(folder, 0, solved(folder / "solutions" / f"{STEM}.ipynb").replace(REMARK, "changed"))
        with _cores(2):
            again, _ = _watched(folder)
    what = f"grading {copies:,} submissions of one exercise"
    return [
        Figure(
            "grading",
            f"{what}, two cores",
            seconds / 60,
            "min",
            note=(
                f"{seconds:.0f} s in a fresh process with two jobs; peak memory {memory / 2**30:.2f} GiB: "
                "the resident memory of all its processes summed, pages that they share counted in each"
            ),
        ),
        Figure(
            "grading",
            f"{what} again, one of them changed",
            again,
            "s",
            goal="under 5 s",
            note="a fresh process: start, reading every file, one answer tried",
        ),
    ]


def _watched(folder: Path) -> tuple[float, int]:
    """Grade in a fresh process; return its seconds and the peak of the memory of all its processes."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-c", GRADING, str(folder)], stdout=subprocess.DEVNULL, stderr=said
        )
        peak = 0
        while process.poll() is None:
            peak = max(peak, _resident(process.pid))
            time.sleep(WAIT)
        seconds = time.perf_counter() - start
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"grading ended with {process.returncode}:\n{said.read().decode()[-2000:]}")
    return seconds, peak


def _resident(process: int) -> int:
    """Return the resident memory of a process and all below it."""
    total = 0
    family: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        top = psutil.Process(process)
        family = [top, *top.children(recursive=True)]
    for one in family:
        with contextlib.suppress(psutil.Error):
            total += one.memory_info().rss
    return total
