"""Two languages in one space, with a line from each sentence to its translation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from course_lib.errors import BadInput
from course_lib.show.picture import Picture
from course_lib.show.style import MARKERS, PALETTE, panels, styled

Sides = tuple[np.ndarray, np.ndarray]
"""Features ``(n, d)`` of either side, partners in the same row."""

MOST = 400
"""Pairs that are drawn; more would hide each other."""


def two_languages(
    spaces: Sides | Mapping[str, Sides],
    *,
    names: tuple[str, str] = ("English", "Chinese"),
    lines: int = 40,
    one_view: bool = True,
    title: str = "",
    seed: int = 0,
    alt: str | None = None,
) -> Picture:
    """Draw where two languages lie, in two dimensions (PCA), with lines between translations.

    Parameters
    ----------
    spaces : tuple of numpy.ndarray, or dict of str to that
        Features of both sides, ``(n, d)`` each; up to three side by side, for instance before and after
        an alignment.
    names : tuple of str
        Of the two sides.
    lines : int
        So many pairs, drawn by `seed`, are joined.
    one_view : bool
        True looks at all panels along the two directions in which the first varies most, on one scale: what
        moves between panels has moved. False, for features of different encoders, has a view for each.
    title : str
    seed : int
        Also of the 400 pairs that are drawn where there are more.
    alt : str, optional
        Default: written from the numbers.

    Returns
    -------
    Picture

    Raises
    ------
    BadInput
        When there is no space or more than three, they differ in the number of pairs, sides differ in shape,
        or values are not finite.
    """
    shown = _checked(dict(spaces) if isinstance(spaces, Mapping) else {"": spaces}, one_view)
    first = next(iter(shown.values()))
    rows = np.random.default_rng(seed).permutation(len(first[0]))[:MOST]
    gaps = {name: _between(*sides) for name, sides in shown.items()}
    drawn = []
    with styled():
        columns = len(shown)
        size = (
            4.8 if columns == 1 else 0.5 + 3.5 * columns,
            (5.0 if columns == 1 else 4.3) + (0.3 if title else 0),
        )
        figure, grid = panels(1, columns, figsize=size)
        for axes, (name, sides) in zip(grid[0], shown.items(), strict=True):
            centre, view = _view(first if one_view else sides)
            a, b = ((side[rows] - centre) @ view for side in sides)
            _draw(axes, a, b, names, lines)
            drawn.append(np.vstack([a, b]))
            gap = f"{gaps[name]:.0%} of variance between languages"
            axes.set_title(f"{name}\n{gap}" if name else gap, fontsize=11)
            axes.set(xticks=[], yticks=[], xlabel="PCA 1")
        grid[0, 0].set_ylabel("PCA 2")
        for axes, points in zip(grid[0], drawn, strict=True):
            _square(axes, np.vstack(drawn) if one_view else points)
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, markerscale=1.5)
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=12, weight="bold")
    return Picture(figure, alt or _words(shown, gaps, names, title))


def _view(sides: Sides) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of both sides and the two directions ``(d, 2)`` in which they vary most."""
    both = np.vstack(sides)
    centre = both.mean(axis=0)
    directions = np.linalg.eigh(np.cov((both - centre).T))[1][:, :-3:-1]
    strongest = np.abs(directions).argmax(axis=0)
    return centre, directions * np.sign(directions[strongest, [0, 1]])  # or a picture could come out mirrored


def _between(a: np.ndarray, b: np.ndarray) -> float:
    """Return the share of variance that lies between the means of the two sides."""
    between = np.square(a.mean(axis=0) - b.mean(axis=0)).sum() / 4
    within = (a.var(axis=0).sum() + b.var(axis=0).sum()) / 2
    return float(between / (between + within)) if between + within else 0.0


def _square(axes: Any, points: np.ndarray) -> None:
    """Give both axes one scale, the panels being nearly square."""
    low, high = points.min(axis=0), points.max(axis=0)
    half, (x, y) = 0.53 * (high - low).max(), (low + high) / 2
    axes.set(xlim=(x - half, x + half), ylim=(y - half, y + half))


def _draw(axes: Any, a: np.ndarray, b: np.ndarray, names: tuple[str, str], lines: int) -> None:
    joined = np.stack([a[:lines], b[:lines]], axis=1)
    for k, pair in enumerate(joined):
        axes.plot(
            *pair.T, color="0.45", lw=0.8, alpha=0.8, zorder=1, label="translations" if k == 0 else None
        )
    for k, side in enumerate((a, b)):
        axes.scatter(
            *side.T,
            s=14,
            marker=MARKERS[k],
            facecolor=PALETTE[k],
            edgecolor="white",
            lw=0.3,
            alpha=0.75,
            label=names[k],
            zorder=2,
        )


def _checked(shown: Mapping[str, Sides], one_view: bool) -> dict[str, Sides]:
    """Return all features in float64."""
    if not 1 <= len(shown) <= 3:
        raise BadInput(
            f"{len(shown)} spaces; 1 to 3 fit side by side.", "Give a dict of names to two arrays."
        )
    found: dict[str, Sides] = {}
    for name, (first, second) in shown.items():
        a, b = np.asarray(first), np.asarray(second)
        if a.ndim != 2 or a.shape != b.shape or min(a.shape) < 2 or {a.dtype.kind, b.dtype.kind} - set("fiu"):
            raise BadInput(
                f"{name or 'The two sides'}: shapes {a.shape} and {b.shape}; expected numbers (n, d) of "
                "both, two rows or more.",
                "Give the features of each sentence and of its translation in the same rows.",
            )
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            raise BadInput("Some features are NaN or infinite.", "Leave these rows out.")
        found[name] = a.astype(np.float64), b.astype(np.float64)
    if len({len(a) for a, _ in found.values()}) > 1:
        raise BadInput("The spaces hold different numbers of pairs.", "Give the same pairs in each.")
    if one_view and len({a.shape[1] for a, _ in found.values()}) > 1:
        raise BadInput(
            "The spaces differ in their dimensions, so that no view fits all.", "Say one_view=False."
        )
    return found


def _words(shown: Mapping[str, Sides], gaps: Mapping[str, float], names: tuple[str, str], title: str) -> str:
    said = [
        f"{title or f'Map (PCA) of {names[0]} and {names[1]}'}, {len(next(iter(shown.values()))[0]):,} pairs."
    ]
    for name, (a, b) in shown.items():
        partners = float(np.linalg.norm(a - b, axis=1).mean())
        strangers = float(np.linalg.norm(a - np.roll(b, 1, axis=0), axis=1).mean())
        said.append(
            f"{name + ': ' if name else ''}{gaps[name]:.0%} of the variance lies between the two languages; "
            f"translations are {partners / strangers if strangers else 1:.0%} as far apart as other pairs."
        )
    return " ".join(said)
