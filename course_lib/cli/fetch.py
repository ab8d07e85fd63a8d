"""`course fetch`: a data set brought to this machine and verified."""

from __future__ import annotations

from course_lib.errors import BadInput, CourseError

NAMES = ("cifar10", "cifar100")


def fetch_data(name: str, source: str | None = None) -> int:
    """Fetch `name` (or all); return 0 when everything is here.

    Raises
    ------
    BadInput
        When there is no such data set.
    CourseError
        When the only data set asked for could not be had.
    """
    if name not in (*NAMES, "all"):
        raise BadInput(
            f"There is no data set {name!r} to fetch.", f"Choose among {', '.join(NAMES)} and all."
        )
    from course_lib.tasks import store

    if name != "all":
        print(f"{name}: {store.fetch(name, source)}")
        return 0
    failed = 0
    for one in NAMES:  # the second may succeed where the first does not
        try:
            print(f"{one}: {store.fetch(one, source)}")
        except CourseError as error:
            failed += 1
            print(f"{one}: {error}")
    return int(failed > 0)
