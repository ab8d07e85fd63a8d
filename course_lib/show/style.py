"""The one style sheet: colours, markers and hatches that survive grey print and colour blindness."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
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


def panels(rows: int = 1, columns: int = 1, *, figsize: tuple[float, float]) -> tuple[Figure, Any]:
    """Return a figure and its ``(rows, columns)`` axes, without pyplot.

    So no window opens, whatever backend the reader has chosen, and no list of open figures grows.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=figsize)
    return figure, figure.subplots(rows, columns, squeeze=False)


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

    with matplotlib.rc_context(), matplotlib.style.context(str(_SHEET)):
        # matplotlib looks for missing glyphs along the family, not within the generic "sans-serif"
        matplotlib.rcParams["font.family"] = families()
        yield
