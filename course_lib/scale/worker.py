"""A process of a group: ``python -m course_lib.scale.worker FOLDER RANK`` does what lies in a folder."""

from __future__ import annotations

import os
import pickle
import sys
import threading
import time
from pathlib import Path
from typing import Any

_LOOK = 1.0  # seconds between two looks at whether who started this is still there


def main(folder: Path, rank: int) -> int:
    """Do the work and leave its result, or its error, in the folder.

    Parameters
    ----------
    folder : pathlib.Path
    rank : int

    Returns
    -------
    int
        0, or 1 when the work raised an error.
    """
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    content: dict[str, Any]
    try:
        function, arguments, settings = pickle.loads((folder / "work.pickle").read_bytes())
        content = {"result": function(*arguments, **settings)}
    except Exception as error:  # whatever it is, it is for the process that asked
        content = {"error": error, "told": f"{type(error).__name__}: {error}"}
    part = folder / f"{rank}.part"
    try:
        part.write_bytes(pickle.dumps(content))
    except (TypeError, AttributeError, pickle.PicklingError):  # an error, or a result, that cannot travel
        told = content.get("told", "its result cannot be sent: return arrays and numbers")
        content = {"error": None, "told": told}
        part.write_bytes(pickle.dumps(content))
    part.replace(folder / f"{rank}.result")
    return int("error" in content)


def _end_with(parent: int) -> None:
    """End this process when the one that started it is gone: no training goes on unseen."""
    while os.getppid() == parent:
        time.sleep(_LOOK)
    os._exit(1)


if __name__ == "__main__":
    code = main(Path(sys.argv[1]), int(sys.argv[2]))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # frameworks that lost their neighbours may wait for them at their end
