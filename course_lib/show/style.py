"""The one style sheet: colours, markers and hatches that survive grey print and colour blindness."""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PALETTE = ("#0072B2", "#E69F00", "#004D40", "#CC79A7", "#7A2E00", "#56B4E9")
"""From Okabe & Ito (2008), two of them darkened, ordered so that neighbours differ in lightness too."""

WRONG = PALETTE[4]
"""The colour of what is wrong, never without a sign or a frame beside it."""

MARKERS = ("o", "s", "^", "D", "v", "P")
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)))
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "++")

HANZI = "Carryover Hanzi"
"""The font for Chinese that comes with the course, since many machines have none."""

HANZI_FILE = Path(__file__).parent / "fonts" / "carryover_hanzi" / "CarryoverHanzi-Regular.otf"
"""5,000 characters of Noto Sans CJK SC; ``tools/make_font.py`` makes it, ``OFL.txt`` is its licence."""

ONE_AT_A_TIME = threading.RLock()
"""Held while a figure is drawn: matplotlib's settings are the process's, and in JupyterLab controls draw in a
thread beside the one that runs cells."""

_SHEET = Path(__file__).with_name("carryover.mplstyle")
_LARGER = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Microsoft YaHei",
    "PingFang SC",
    "WenQuanYi Micro Hei",
    "SimHei",
)


def families() -> list[str]:
    """Return the fonts of a figure: each character is drawn in the first of them that has it.

    DejaVu Sans, which matplotlib brings along; the course's Chinese; and, for characters rarer than those,
    a larger Chinese font where matplotlib knows one.

    Examples
    --------
    >>> families()[:2]
    ['DejaVu Sans', 'Carryover Hanzi']
    """
    from matplotlib.font_manager import fontManager

    known = {font.name for font in fontManager.ttflist}
    if HANZI not in known:
        fontManager.addfont(HANZI_FILE)
        # its one weight serves for bold as well, or matplotlib would complain at every bold title
        fontManager.ttflist.append(replace(fontManager.ttflist[-1], weight="bold"))
    return ["DejaVu Sans", HANZI, *[name for name in _LARGER if name in known][:1]]


def drawable(text: str) -> str:
    r"""Return text with an empty square for each character that no font of a figure has.

    matplotlib would draw such a square too, and warn about each. Marks that join or vary a character which is
    missing go without a trace.

    Examples
    --------
    >>> drawable("tea 茶 \U0001f375!")
    'tea 茶 □!'
    """
    missing = {c for c in text if ord(c) not in _characters(tuple(families()))}
    if not missing:
        return text
    shown = {c: "" if unicodedata.category(c) in ("Mn", "Me", "Cf") else "□" for c in missing}
    return "".join(shown.get(c, c) for c in text)


@lru_cache
def _characters(names: tuple[str, ...]) -> frozenset[int]:
    """Return the characters that the fonts have together."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    files = [findfont(FontProperties(family=name)) for name in names]
    return frozenset(code for file in files for code in get_font(file).get_charmap())


def panels(rows: int = 1, columns: int = 1, *, figsize: tuple[float, float]) -> tuple[Figure, Any]:
    """Return a figure and its ``(rows, columns)`` axes, without pyplot.

    So no window opens, whatever backend the reader has chosen, and no list of open figures grows.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=figsize)
    return figure, figure.subplots(rows, columns, squeeze=False)


_SHORT = 30  # characters of a title that fits everywhere


def fit_titles(figure: Figure) -> None:
    """Move long titles to the left until they end within the figure; break those that are wider than it.

    Titles stand over their axes' left edge, which long names of rows push far to the right.
    """
    titled = [axes for axes in figure.axes if len(axes.get_title(loc="left")) > _SHORT]
    room, gap = figure.bbox.width, 0.1 * figure.dpi
    for axes in titled:
        title = axes._left_title  # type: ignore[attr-defined]  # no public name, see Axes.get_title
        wide, text = title.get_window_extent().width, title.get_text()
        if wide > room - 2 * gap:  # 0.9: letters differ in width
            title.set_text(fill(text, int(0.9 * len(text) * (room - 2 * gap) / wide)))
    if titled:
        figure.draw_without_rendering()  # only now it is known where axes and titles end
    for axes in titled:
        title = axes._left_title  # type: ignore[attr-defined]
        over = title.get_window_extent().x1 - (room - gap)
        if over > 0:
            shift = min(over, axes.bbox.x0 - gap)
            title.set_x(title.get_position()[0] - shift / axes.bbox.width)


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the course's style inside the ``with`` block; the user's own settings come back after it.

    Examples
    --------
    >>> import matplotlib
    >>> before = matplotlib.rcParams["axes.spines.top"]
    >>> with styled():
    ...     inside = matplotlib.rcParams["axes.spines.top"]
    >>> inside, matplotlib.rcParams["axes.spines.top"] == before
    (False, True)
    """
    import matplotlib
    import matplotlib.style

    with ONE_AT_A_TIME, matplotlib.rc_context(), matplotlib.style.context(str(_SHEET)):
        # matplotlib looks for missing glyphs along the family, not within the generic "sans-serif"
        matplotlib.rcParams["font.family"] = families()
        yield
