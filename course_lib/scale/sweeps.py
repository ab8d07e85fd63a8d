"""Many runs over settings, here or on many machines; what is known is kept."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from reprlib import repr as shortened
from typing import Any

from filelock import FileLock, Timeout

from course_lib.errors import BadInput, CourseError
from course_lib.scheduler import as_they_come, connected

Setting = Mapping[str, Any]


def sweep(
    function: Callable[..., Any],
    settings: Iterable[Setting],
    *,
    scheduler: Any = None,
    workers: int | None = None,
    file: str | Path | None = None,
    progress: bool = True,
) -> list[Any]:
    """Return ``function(**setting)`` for each setting, in their order, whoever computed it and when.

    Parameters
    ----------
    function : callable
        Its result depends on its arguments alone, seeds among them, and can be written as JSON.
    settings : iterable of mapping
        Keyword arguments; the same one twice is run once.
    scheduler : str, distributed.Client or cluster, optional
        As in `course_lib.scheduler.connected`. None runs one after the other here. ``"threads"`` is for
        functions that seed nothing global; those that do, as Keras and PyTorch trainings do, want
        ``"processes"``.
    workers : int, optional
        Of ``"threads"`` or ``"processes"``.
    file : path, optional
        Every result is added to it as a line of JSON as soon as it is known. A sweep that was interrupted,
        or to which settings are added, runs only what is missing.
    progress : bool

    Returns
    -------
    list

    Raises
    ------
    BadInput
        For settings or results that are no JSON.
    CourseError
        When runs failed, after all others were done and kept; or another sweep writes to the file.

    Examples
    --------
    >>> sweep(lambda a, b: a * b, [{"a": 2, "b": 3}, {"a": 4, "b": 5}])
    [6, 20]
    """
    asked = list(settings)
    wanted = {_key(setting): dict(setting) for setting in asked}
    path = Path(file) if file is not None else None
    with _held(path):
        results = {key: value for key, value in _read(path).items() if key in wanted}
        missing = {key: setting for key, setting in wanted.items() if key not in results}
        failed: dict[str, BaseException] = {}
        from course_lib.show.progress import Progress

        with Progress("sweep", len(missing), "runs", visible=progress) as bar:
            for key, result in _run(function, missing, scheduler, workers):
                if isinstance(result, BaseException):
                    failed[key] = result
                else:
                    results[key] = _kept(path, missing[key], result)
                bar.update()
    if failed:
        key, error = next(iter(failed.items()))
        raise CourseError(
            f"{len(failed)} of {len(wanted)} runs failed, for instance {shortened(wanted[key])}: "
            f"{type(error).__name__}: {error}",
            "What the others gave is kept." if path else "Give file= to keep what the others give.",
        ) from error
    return [results[_key(setting)] for setting in asked]


def _run(
    function: Callable[..., Any], missing: Mapping[str, Setting], scheduler: Any, workers: int | None
) -> Iterator[tuple[str, Any]]:
    """Yield each key with its result, or the error that came instead, as they come."""
    if scheduler is None or not missing:
        for key, setting in missing.items():
            try:
                yield key, function(**setting)
            except Exception as error:  # told when the others are done
                yield key, error
        return
    keys = list(missing)
    with connected(scheduler, workers) as client:
        jobs = [(function, setting) for setting in missing.values()]
        for number, result in as_they_come(client, _called, jobs):
            try:
                yield keys[number], result()
            except Exception as error:
                yield keys[number], error


def _called(function: Callable[..., Any], setting: Setting) -> Any:
    return function(**setting)


def _key(setting: Setting) -> str:
    try:
        return json.dumps(dict(setting), sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BadInput(
            f"A setting is no JSON: {shortened(setting)} ({error}).", "Give numbers, texts, lists and dicts."
        ) from None


def _kept(path: Path | None, setting: Setting, result: Any) -> Any:
    """Add a line to the file, whole and on the disk before the next; return the result as it will be read."""
    try:
        line = json.dumps({"setting": dict(setting), "result": result}, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise BadInput(
            f"The result of {shortened(setting)} is no JSON ({error}).",
            "Return numbers, texts, lists and dicts; float(x) and x.tolist() make them of NumPy's.",
        ) from None
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as stream:
            stream.write(line.encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
    return json.loads(line)["result"]


def _read(path: Path | None) -> dict[str, Any]:
    """Return the results in a file by setting; a line that a kill cut short is dropped from it."""
    if path is None or not path.exists():
        return {}
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        with path.open("r+b") as stream:
            stream.truncate(len(whole))
    found = {}
    for number, line in enumerate(whole.decode("utf8").splitlines(), start=1):
        try:
            entry = json.loads(line)
            found[_key(entry["setting"])] = entry["result"]
        except (ValueError, KeyError, TypeError):
            raise BadInput(
                f"Line {number} of {path} is no result of a sweep.", "Name another file, or remove the line."
            ) from None
    return found


@contextmanager
def _held(path: Path | None) -> Iterator[None]:
    """Hold the file for one sweep at a time."""
    if path is None:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path.with_name(f".{path.name}.lock"), timeout=0):
            yield
    except Timeout:
        raise CourseError(
            f"Another sweep is writing to {path}.", "Wait for it to end, or name another file."
        ) from None
