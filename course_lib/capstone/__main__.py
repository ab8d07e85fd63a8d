"""``python -m course_lib.capstone DIR``: the same as ``course run DIR``."""

from __future__ import annotations

import sys

from course_lib.capstone import run
from course_lib.errors import CourseError


def main(arguments: list[str]) -> int:
    """Run the project in the folder that is named, by default this one."""
    try:
        print(run(arguments[0] if arguments else "."))
    except CourseError as error:
        print(f"course: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted. The same command goes on where this stopped.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
