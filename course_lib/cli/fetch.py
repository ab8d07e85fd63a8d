"""`course fetch`: a data set, or a network of the hub, brought to this machine and verified."""

from __future__ import annotations

from course_lib.errors import BadInput, CourseError

NAMES = ("cifar10", "cifar100", "spoken_digits")
PAIRS = ("pawsx", "xnli")


def fetch_data(name: str, source: str | None = None) -> int:
    """Fetch `name`; return 0 when it is here. "all" means pictures and sounds.

    Raises
    ------
    BadInput
        When there is no such data set or network.
    CourseError
        When the only one asked for could not be had.
    """
    if name not in (*NAMES, "all"):
        return _from_hub(name, source)
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


def _from_hub(name: str, source: str | None) -> int:
    """Fetch sentence pairs in English and Chinese, or a network."""
    from course_lib.encoders.hub import PINNED, model_folder
    from course_lib.tasks import hub_sentences

    if name not in (*PAIRS, *PINNED):
        raise BadInput(
            f"There is no data set {name!r} to fetch.",
            f"Choose among {', '.join((*PAIRS, *PINNED, *NAMES))} and all.",
        )
    if source is not None:
        raise BadInput(
            f"{name} comes from the hub; --from={source!r} does not apply.",
            "Set HF_ENDPOINT to a mirror, or HF_HOME to a folder that was copied from another machine.",
        )
    print(f"{name}: {model_folder(name) if name in PINNED else hub_sentences.fetch(name)}")
    return 0
