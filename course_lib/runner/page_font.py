"""The Chinese characters of a page, as a font within that page."""

from __future__ import annotations

import base64
import io
from html import unescape

from course_lib.show.style import HANZI, HANZI_FILE

FIRST = 0x2E80
"""Where Unicode begins with Chinese: strokes, then punctuation, characters, wide letters, rare characters."""


def font_face(html: str) -> str:
    """Return a style rule that brings along the Chinese characters in some HTML, or nothing without any.

    Parameters
    ----------
    html : str
        What the page shows, markup included: a description that stands for a picture may be shown as well.

    Returns
    -------
    str
        ``@font-face`` with a WOFF of these characters of the course's own font, some 250 bytes each. Its
        ``unicode-range`` leaves Latin to the fonts that a style names after it. Characters that the course's
        font lacks are left to the reader's fonts.

    Examples
    --------
    >>> font_face("<p>No Chinese</p>")
    ''
    >>> font_face("<p>&#36801;移学习</p>")[:46]
    '@font-face { font-family: "Carryover Hanzi"; u'
    """
    from fontTools import subset
    from fontTools.ttLib import TTFont

    codes = {code for code in map(ord, set(unescape(html))) if code >= FIRST}
    with TTFont(HANZI_FILE, recalcTimestamp=False) as font:
        codes &= font.getBestCmap().keys()
        if not codes:
            return ""
        subsetter = subset.Subsetter(
            subset.Options(bidi_closure=False, name_IDs=["*"])
        )  # names tell the licence
        subsetter.populate(unicodes=codes)
        subsetter.subset(font)
        font.flavor = "woff"
        stream = io.BytesIO()
        font.save(stream)
    data = base64.b64encode(stream.getvalue()).decode("ascii")
    return (
        f'@font-face {{ font-family: "{HANZI}"; unicode-range: U+{FIRST:X}-10FFFF; '
        f'src: url(data:font/woff;base64,{data}) format("woff"); }}'
    )
