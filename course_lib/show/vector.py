"""Small line charts written as SVG, without a plotting library: a millisecond each, to be drawn often."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from course_lib.show.style import HANZI, PALETTE

WIDTH, HEIGHT = 350, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 28, 36
_DASHES = ("", "6 3", "7 3 2 3", "2 2")
_CROWDED = 25  # points; more of them lose their markers


class Panel:
    """One chart: lines over a common horizontal range, with rings and vertical marks.

    Parameters
    ----------
    title : str
    across : (float, float)
        The horizontal range.
    percent : bool
        Whether heights are shares.

    Examples
    --------
    >>> panel = Panel("loss", (0.5, 3.5))
    >>> panel.line([1, 2, 3], [0.9, 0.5, 0.6], 0, ring=2)
    >>> panel.svg().count("<circle")
    4
    """

    def __init__(self, title: str, across: tuple[float, float], *, percent: bool = False) -> None:
        self.title, self.across, self.percent = title, across, percent
        self._lines: list[tuple[list[tuple[float, float]], int, str, float | None]] = []
        self._marks: list[tuple[float, str]] = []

    def line(
        self,
        x: Sequence[float],
        y: Sequence[float],
        style: int,
        *,
        name: str = "",
        ring: float | None = None,
    ) -> None:
        """Join points by a line, without those that have no finite height; `ring` marks the one at its x."""
        points = [(float(a), float(b)) for a, b in zip(x, y, strict=True) if math.isfinite(b)]
        if points:
            self._lines.append((points, style, name, ring))

    def mark(self, x: float, name: str = "") -> None:
        """Add a vertical line with its name along it."""
        self._marks.append((x, name))

    def svg(self) -> str:
        """Return the chart as SVG elements within ``WIDTH`` by ``HEIGHT``."""
        heights = [b for points, *_ in self._lines for _, b in points] or [0.0, 1.0]
        self._low, self._high = _padded(min(heights), max(heights))
        return "".join([*self._frame(), *self._curves(), *self._vertical()])

    def _place(self, x: float, y: float) -> tuple[float, float]:
        first, last = self.across
        right = _LEFT + (x - first) / (last - first) * (WIDTH - _LEFT - _RIGHT)
        down = _TOP + (self._high - y) / (self._high - self._low) * (HEIGHT - _TOP - _BOTTOM)
        return round(right, 1), round(down, 1)

    def _frame(self) -> list[str]:
        parts = [_text(_LEFT, 16, self.title, weight="bold", size=13)]
        for tick in _ticks(self._low, self._high):
            x, y = self._place(self.across[0], tick)
            parts.append(f'<path d="M{x} {y}H{WIDTH - _RIGHT}" stroke="#e0e0e0"/>')
            label = f"{round(100 * tick, 2):g}%" if self.percent else f"{round(tick, 6):g}"
            parts.append(_text(x - 6, y + 4, label, anchor="end"))
        for tick in _ticks(*self.across, whole=True):
            x, y = self._place(tick, self._low)
            parts.append(_text(x, y + 16, f"{tick:g}", anchor="middle"))
        x, y = self._place(self.across[0], self._low)
        parts.append(f'<path d="M{x} {_TOP}V{y}H{WIDTH - _RIGHT}" fill="none" stroke="#4d4d4d"/>')
        return parts

    def _vertical(self) -> list[str]:
        parts = []
        for x, name in self._marks:
            right, down = self._place(x, self._low)
            parts.append(f'<path d="M{right} {_TOP}V{down}" stroke="#737373" stroke-dasharray="2 2"/>')
            if name:
                turn = f"rotate(-90 {right + 12:g} {down - 6:g})"
                parts.append(_text(right + 12, down - 6, name, turn=turn))
        return parts

    def _curves(self) -> list[str]:
        parts, legend = [], WIDTH - _RIGHT
        for points, style, name, ring in self._lines:
            colour = PALETTE[style % len(PALETTE)]
            placed = [self._place(*point) for point in points]
            path = "L".join(f"{x} {y}" for x, y in placed)
            dash = _DASHES[style % len(_DASHES)]
            look = f'stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"'
            parts.append(f'<path d="M{path}" fill="none" {look}/>')
            if len(placed) <= _CROWDED:
                parts += [_dot(x, y, style) for x, y in placed]
            parts += [
                f'<circle cx="{x}" cy="{y}" r="8" fill="none" stroke="#1a1a1a" stroke-width="1.5"/>'
                for (x, y), (at, _) in zip(placed, points, strict=True)
                if at == ring
            ]
            if name:
                legend -= 7 * len(name) + 34
                parts.append(f'<path d="M{legend} 12h22" {look}/>')
                parts.append(_dot(legend + 11, 12, style))
                parts.append(_text(legend + 27, 16, name))
        return parts


def drawing(charts: Sequence[Panel], *, x: str, alt: str) -> str:
    """Return charts side by side as one ``<svg>``.

    Parameters
    ----------
    charts : sequence of Panel
    x : str
        What runs along every horizontal axis.
    alt : str
        What the figure says, for those who cannot see it.
    """
    parts = [
        f'<g transform="translate({k * WIDTH} 0)">{chart.svg()}'
        f"{_text((WIDTH + _LEFT - _RIGHT) / 2, HEIGHT - 4, x, anchor='middle')}</g>"
        for k, chart in enumerate(charts)
    ]
    width = WIDTH * len(charts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" width="{width}" '
        f'height="{HEIGHT}" style="max-width:100%;background:white;font-family:{HANZI},sans-serif" '
        f'role="img" aria-label="{escape(alt)}">'
        f"{''.join(parts)}</svg>"
    )


def _dot(x: float, y: float, style: int) -> str:
    colour = PALETTE[style % len(PALETTE)]
    if style % 2:
        return f'<rect x="{x - 3:.1f}" y="{y - 3:.1f}" width="6" height="6" fill="{colour}"/>'
    return f'<circle cx="{x}" cy="{y}" r="3.5" fill="{colour}"/>'


def _text(
    x: float,
    y: float,
    words: str,
    *,
    anchor: str = "start",
    weight: str = "normal",
    size: int = 11,
    turn: str = "",
) -> str:
    turned = f' transform="{turn}"' if turn else ""
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-weight="{weight}" font-size="{size}" '
        f'fill="#1a1a1a" stroke="white" stroke-width="3" paint-order="stroke"{turned}>{escape(words)}</text>'
    )


def _padded(low: float, high: float) -> tuple[float, float]:
    """Return a range a little wider than the heights, and never empty."""
    room = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    return low - room, high + room


def _ticks(low: float, high: float, *, whole: bool = False) -> list[float]:
    """Return three to seven round numbers within a range.

    Examples
    --------
    >>> _ticks(0.13, 0.92)
    [0.2, 0.4, 0.6, 0.8]
    >>> _ticks(0.5, 5.5, whole=True)
    [1.0, 2.0, 3.0, 4.0, 5.0]
    """
    rough = (high - low) / 5
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * k for k in (1, 2, 5, 10) if size * k >= rough * 0.8)
    if whole:
        step = max(1.0, round(step))
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]
