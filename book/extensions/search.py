"""Search in English and Chinese, which is not written in words and is found by neighbouring characters."""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx
from sphinx.domains.std import StandardDomain
from sphinx.search.en import SearchEnglish

HAN = r"\u3400-\u4dbf\u4e00-\u9fff"
_PART = re.compile(rf"[{HAN}]+|[^\W{HAN}]+")

# The reader's query must be cut as the index was.
SPLITTER = (
    "function splitQuery(query) {\n"
    f"  const cut = /[{HAN}]+|(?:(?![{HAN}])[\\p{{Letter}}\\p{{Number}}_\\p{{Emoji_Presentation}}])+/gu;\n"
    "  const parts = query.match(cut) || [];\n"
    "  return parts.flatMap((part) => /^[" + HAN + "]{3,}$/.test(part)\n"
    "    ? Array.from({ length: part.length - 1 }, (_, i) => part.slice(i, i + 2)) : [part]);\n"
    "}\n"
)


class SearchBoth(SearchEnglish):
    """English words by their stems, Chinese by pairs of neighbouring characters."""

    lang = "en-zh"
    language_name = "English"  # of the stemmer in the browser
    js_splitter_code = SPLITTER

    def split(self, input: str) -> list[str]:
        """Return words, and of each run of Chinese its single characters and its pairs."""
        return [term for part in _PART.findall(input) for term in cut(part)]


def cut(part: str) -> list[str]:
    """Return the terms of a word, or of a run of Chinese.

    Examples
    --------
    >>> cut("迁移学习"), cut("probe")
    (['迁', '移', '学', '习', '迁移', '移学', '学习'], ['probe'])
    """
    if not re.match(f"[{HAN}]", part):
        return [part]
    return [*part, *(part[i : i + 2] for i in range(len(part) - 1))]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the language of the search, and let it find the glossary's terms by their names."""
    app.add_search_language(SearchBoth)
    StandardDomain.object_types["term"].attrs["searchprio"] = 0  # the glossary's terms are found first
    return {"parallel_read_safe": True, "parallel_write_safe": True}
