"""A loss of two weights as a map, with the ways that training takes on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from course_lib.errors import BadInput
from course_lib.show.picture import Picture
from course_lib.show.style import LINES, MARKERS, PALETTE, panels, styled

_GRID = 241  # points along each side of the map
_FLOOR = 1e-8  # losses below it are drawn there: a logarithm needs an end
_CEILING = 1e4
_FAR = 1e6  # weights beyond it are on their way to infinity

Loss = Callable[[np.ndarray, np.ndarray], np.ndarray]


def landscape(
    loss: Loss,
    paths: Mapping[str, np.ndarray],
    *,
    across: tuple[float, float],
    up: tuple[float, float],
    names: tuple[str, str] = ("first weight", "second weight"),
    title: str = "",
    alt: str | None = None,
) -> Picture:
    """Draw a loss over two weights as a map with paths on it, and beside it the loss along each path.

    Darker is higher, white is a valley. A path starts at its large mark and ends at a cross; where it leaves
    the map for good, an arrow head stands at the edge.

    Parameters
    ----------
    loss : callable
        ``loss(first, second)`` of two arrays of one shape, not negative.
    paths : dict of str to numpy.ndarray
        ``(steps + 1, 2)``: the weights at the start and after every step. May leave the map, may end in
        infinity.
    across, up : (float, float)
        The map's range of the first and of the second weight.
    names : (str, str)
        What the weights are, for the axes.
    title : str
    alt : str, optional
        Default: written from the numbers.

    Returns
    -------
    Picture

    Raises
    ------
    BadInput
        When there is no path, one is not ``(steps + 1, 2)``, or the loss is negative somewhere.

    Examples
    --------
    >>> bowl = lambda a, b: (a**2 + b**2) / 2
    >>> way = np.array([[1.0, 1.0], [0.5, 0.5], [0.25, 0.25]])
    >>> landscape(bowl, {"rate 0.5": way}, across=(-1, 2), up=(-1, 2))
    Picture: Loss over first weight and second weight. rate 0.5: from (1, 1) to (0.25, 0.25), loss from 1 to
    0.0625 in 2 steps.
    """
    ways = {name: _checked(name, path) for name, path in paths.items()}
    if not ways:
        raise BadInput("No path was given.", "Give a dict of names to arrays (steps + 1, 2).")
    along = {}
    with np.errstate(over="ignore", invalid="ignore"):
        for name, way in ways.items():
            values = np.asarray(loss(way[:, 0], way[:, 1]), np.float64)
            along[name] = np.where(np.isnan(values), np.inf, values)
    with styled():
        figure, ((plane, course),) = panels(1, 2, figsize=(8.4, 4.4))
        _map(plane, loss, across, up)
        for k, (name, way) in enumerate(ways.items()):
            _way(plane, way, k, name, across, up)
            _losses(course, along[name], k)
        plane.set(xlim=across, ylim=up, xlabel=names[0], ylabel=names[1])
        plane.grid(visible=False)
        course.set(xlabel="step", ylabel="loss", yscale="log")
        low = min(float(np.clip(v, _FLOOR, _CEILING).min()) for v in along.values())
        course.set_ylim(bottom=max(low / 3, _FLOOR / 3))
        figure.legend(loc="outside lower center", ncols=min(len(ways), 3))
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=12, weight="bold")
    return Picture(figure, alt or _words(names, ways, along))


def losses(
    curves: Mapping[str, np.ndarray], *, title: str = "", log: bool = True, alt: str | None = None
) -> Picture:
    """Draw how a loss falls, or rises, step by step.

    Parameters
    ----------
    curves : dict of str to numpy.ndarray
        The loss before the first step and after every one, ``(steps + 1,)``; may end in infinity. What rises
        to more than ten times the highest start is cut off there.
    title : str
    log : bool
        Whether losses are drawn on a logarithmic scale, on which a steady gain is a straight line.
    alt : str, optional
        Default: written from the numbers.

    Returns
    -------
    Picture

    Raises
    ------
    BadInput
        When there is no curve, or one is not a row of numbers.

    Examples
    --------
    >>> losses({"rate 0.5": np.array([2.0, 1.0, 0.5])})
    Picture: Loss by step. rate 0.5: from 2 to 0.5 in 2 steps.
    """
    rows = {name: np.asarray(values, np.float64) for name, values in curves.items()}
    if not rows or any(row.ndim != 1 or not len(row) or not np.isfinite(row[0]) for row in rows.values()):
        raise BadInput(
            f"Curves of shapes {[row.shape for row in rows.values()]}; expected one or more of (steps + 1,).",
            "Give a dict of names to rows of losses that start with a finite one.",
        )
    top = 10 * max(row[0] for row in rows.values())
    told = []
    with styled():
        figure, ((axes,),) = panels(figsize=(7.2, 3.8))
        for k, (name, row) in enumerate(rows.items()):
            _losses(axes, np.where(np.isnan(row), np.inf, row), k, top, name)
            end = f"to {row[-1]:.3g}" if row[-1] < top else "upwards without end"
            told.append(f"{name}: from {row[0]:.3g} {end} in {len(row) - 1} steps")
        axes.set(xlabel="step", ylabel="loss", yscale="log" if log else "linear")
        axes.set_title(title)
        axes.legend()
    return Picture(figure, alt or f"{title or 'Loss by step'}. {'; '.join(told)}.")


def _checked(name: str, path: np.ndarray) -> np.ndarray:
    way = np.asarray(path, np.float64)
    if way.ndim != 2 or way.shape[1] != 2 or not len(way) or not np.isfinite(way[0]).all():
        raise BadInput(
            f"The path {name!r} has shape {way.shape}; expected (steps + 1, 2) with a finite start.",
            "Give one row of two weights for the start and one for every step.",
        )
    return way


def _map(axes: Any, loss: Loss, across: tuple[float, float], up: tuple[float, float]) -> None:
    first, second = np.meshgrid(np.linspace(*across, _GRID), np.linspace(*up, _GRID))
    heights = np.asarray(loss(first, second), np.float64)
    if not (np.isfinite(heights).all() and heights.min() >= 0):
        raise BadInput(
            f"The loss runs from {heights.min():.3g} to {heights.max():.3g} on the map; "
            "expected finite numbers of at least 0.",
            "Give a loss that takes two arrays, or a smaller map.",
        )
    # steps of equal ratio: a valley and the slopes above it are both seen
    top = max(float(heights.max()), _FLOOR)
    levels = np.concatenate([[0.0], top * 3.0 ** np.arange(-8.0, 1.0)])
    shades = [str(0.99 - 0.33 * k / (len(levels) - 2)) for k in range(len(levels) - 1)]
    axes.contourf(first, second, heights, levels=levels, colors=shades)
    axes.contour(first, second, heights, levels=levels[2:-1], colors="0.45", linewidths=0.5)


def _way(
    axes: Any, way: np.ndarray, k: int, name: str, across: tuple[float, float], up: tuple[float, float]
) -> None:
    colour, marker = PALETTE[k % len(PALETTE)], MARKERS[k % len(MARKERS)]
    with np.errstate(invalid="ignore"):
        lost = np.flatnonzero(~(np.abs(way).max(axis=1) < _FAR))
    shown = way[: lost[0] if len(lost) else None]
    axes.plot(
        *shown.T,
        color=colour,
        lw=1.6,
        linestyle=LINES[k % len(LINES)],
        marker=marker,
        ms=4,
        mew=0,
        markevery=max(1, len(shown) // 25),
        label=name,
    )
    axes.plot(*way[0], marker=marker, ms=11, mfc=colour, mec="white", mew=1.2, zorder=4)
    inside = _inside(way, across, up)
    if inside[-1]:
        axes.plot(*way[-1], marker="X", ms=10, mfc=colour, mec="white", mew=1.2, zorder=5)
    elif inside.any():
        last = int(np.flatnonzero(inside)[-1])
        _leaving(axes, way[last], way[last + 1], colour, across, up)


def _leaving(
    axes: Any,
    last: np.ndarray,
    out: np.ndarray,
    colour: str,
    across: tuple[float, float],
    up: tuple[float, float],
) -> None:
    """Draw an arrow from the last point on the map to where the next step crosses its edge."""
    step = np.clip(np.nan_to_num(out, nan=0.0, posinf=1e9, neginf=-1e9) - last, -1e9, 1e9)
    shares = [1.0]
    for axis, (low, high) in enumerate((across, up)):
        if step[axis]:
            shares.append(((high if step[axis] > 0 else low) - last[axis]) / step[axis])
    edge = last + min(share for share in shares if share >= 0) * step
    axes.annotate(
        "", xy=edge, xytext=last, arrowprops={"arrowstyle": "-|>", "lw": 1.6, "color": colour, "shrinkB": 0}
    )


def _inside(way: np.ndarray, across: tuple[float, float], up: tuple[float, float]) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        x, y = way.T
        return np.asarray((x >= across[0]) & (x <= across[1]) & (y >= up[0]) & (y <= up[1]))


def _losses(axes: Any, values: np.ndarray, k: int, top: float = _CEILING, name: str = "") -> None:
    axes.plot(
        np.arange(len(values)),
        np.clip(values, _FLOOR, top),
        label=name or None,
        color=PALETTE[k % len(PALETTE)],
        linestyle=LINES[k % len(LINES)],
        marker=MARKERS[k % len(MARKERS)],
        ms=4,
        mew=0,
        markevery=max(1, len(values) // 12),
    )


def _words(names: tuple[str, str], ways: Mapping[str, np.ndarray], along: Mapping[str, np.ndarray]) -> str:
    told = []
    for name, way in ways.items():
        first, last = along[name][0], along[name][-1]
        start, end = (f"({', '.join(f'{v:.3g}' for v in point)})" for point in (way[0], way[-1]))
        if math.isfinite(last) and last <= _CEILING:
            falls = f"loss from {first:.3g} to {f'{last:.3g}' if last > _FLOOR else 'nearly 0'}"
        else:
            end, falls = "infinity", f"loss from {first:.3g} upwards without end"
        told.append(f"{name}: from {start} to {end}, {falls} in {len(way) - 1} steps")
    plain = [name.replace("$", "").replace("_", "") for name in names]
    return f"Loss over {plain[0]} and {plain[1]}. {'; '.join(told)}."
