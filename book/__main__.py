"""``python -m book``: build the book, and say what came of it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from course_lib.cli.quick import without_iri_grammars


def main() -> int:
    """Read the command line, build, and print a line or what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m book", description="Build the course's book.")
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="the clone (default: this folder)")
    parser.add_argument("--out", type=Path, help="where the site goes (default: build/book in the clone)")
    parser.add_argument(
        "--executed", type=Path, help="take notebooks from here where they are, such as build/notebooks"
    )
    parser.add_argument("--linkcheck", action="store_true", help="try links to other sites too (network)")
    options = parser.parse_args()
    without_iri_grammars()
    from book.site import BookError, build  # it reads notebooks

    try:
        made = build(
            options.root, options.out, executed=options.executed, external=options.linkcheck, say=print
        )
    except BookError as error:
        print(error, file=sys.stderr)
        return 1
    print(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
