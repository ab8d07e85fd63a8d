"""Renew the Chinese notebooks from the English ones, and say which cells wait for a translator.

A file of translations holds cells of one notebook. Each begins with a line `<!-- cell ID -->`, followed by
its Markdown in Chinese. Links may be written as in the English notebook. Cells that it does not name stay.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nbformat

from course_lib.errors import CourseError
from course_lib.runner.chinese import chinese_path, parsed, problems, renew, unused_terms
from course_lib.runner.plan import chosen, notebook_folder


def main(given: list[str] | None = None) -> int:
    """Return 0, or 1 when a cell waits for a translator or something does not agree."""
    parser = argparse.ArgumentParser(prog="python -m course_lib.runner.chinese", description=__doc__)
    parser.add_argument("names", nargs="*", help="notebooks, such as 04; default: all")
    parser.add_argument("--from", dest="file", type=Path, help="translations of the one notebook named")
    parser.add_argument("--terms", action="store_true", help="also list terms that are called otherwise")
    parser.add_argument("--notebooks", type=Path, help="the folder of the English notebooks")
    asked = parser.parse_args(given)
    paths = chosen(asked.names, notebook_folder(asked.notebooks))
    if asked.file and len(paths) != 1:
        parser.error("--from needs the one notebook that the file translates")
    texts = parsed(asked.file.read_text(encoding="utf-8")) if asked.file else None
    wrong = [_told(path, texts, asked.terms) for path in paths]
    return int(any(wrong))


def _told(path: Path, texts: dict[str, str] | None, terms: bool) -> bool:
    """Renew one notebook and print what is wrong with it; return whether anything is."""
    if renew(path, texts) is None:
        print(f"{path.stem}: not translated")
        return True
    english, chinese = (nbformat.read(one, as_version=4) for one in (path, chinese_path(path)))  # type: ignore[no-untyped-call]
    found = problems(english, chinese, chinese_path(path).parent)
    print(f"{path.stem}: {'; '.join(found) or 'translated'}")
    for one in unused_terms(english, chinese) if terms else ():
        print(f"    {one}")
    return bool(found)


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except CourseError as error:
        raise SystemExit(str(error)) from None
