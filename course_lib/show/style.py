"""The one style sheet: colours, markers and hatches that survive grey print and colour blindness."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

PALETTE = ("#0072B2", "#E69F00", "#004D40", "#CC79A7", "#7A2E00", "#56B4E9")
"""From Okabe & Ito (2008), two of them darkened, ordered so that neighbours differ in lightness too."""

WRONG = PALETTE[4]
"""The colour of what is wrong, never without a sign or a frame beside it."""

MARKERS = ("o", "s", "^", "D", "v", "P")
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)))
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "++")

_SHEET = Path(__file__).with_name("carryover.mplstyle")
_CHINESE = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Microsoft YaHei",
    "PingFang SC",
    "WenQuanYi Micro Hei",
    "SimHei",
)


@cache
def chinese_font() -> str | None:
    """Return the name of an installed font with Chinese glyphs, or None."""
    from matplotlib import font_manager

    names = {font.name for font in font_manager.fontManager.ttflist}
    return next((name for name in _CHINESE if name in names), None)


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

    fallback = [name for name in (chinese_font(),) if name]
    with matplotlib.rc_context(), matplotlib.style.context(str(_SHEET)):
        matplotlib.rcParams["font.sans-serif"] = ["DejaVu Sans", *fallback]
        yield
