"""The one style sheet: colours, markers and hatches that survive grey print and colour blindness."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
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
_CHINESE_FILES = re.compile(
    r"(NotoSansCJK|NotoSansSC|SourceHanSans|msyh|PingFang|wqy-microhei|simhei)", re.IGNORECASE
)


@cache
def chinese_font() -> str | None:
    """Return the name of an installed font with Chinese glyphs, or None.

    Looked for once per process.
    """
    from matplotlib import font_manager

    def known() -> str | None:
        names = {font.name for font in font_manager.fontManager.ttflist}
        return next((name for name in _CHINESE if name in names), None)

    if known() is None:  # matplotlib keeps a list of fonts on disk; one installed since is not in it
        for path in font_manager.findSystemFonts():
            if _CHINESE_FILES.match(Path(path).name):
                with suppress(OSError, RuntimeError):  # a font file that cannot be read is as good as none
                    font_manager.fontManager.addfont(path)
    return known()


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

    fallback = [name for name in (chinese_font(),) if name]
    with matplotlib.rc_context(), matplotlib.style.context(str(_SHEET)):
        # matplotlib looks for missing glyphs along the family, not within the generic "sans-serif"
        matplotlib.rcParams["font.family"] = ["DejaVu Sans", *fallback]
        yield
