"""A network layer by layer: what still means the same after training, and how far weights moved."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import takewhile
from typing import Any, Protocol

import numpy as np

from course_lib.errors import BadInput
from course_lib.show.charts import percent_tick
from course_lib.show.picture import Picture
from course_lib.show.style import HATCHES, PALETTE, panels, styled

_MOST_VALUES = 10  # layers; of more, values in the cells cannot be read


class SimilarityLike(Protocol):
    """What `measure.cka_matrix` makes."""

    @property
    def rows(self) -> tuple[str, ...]:
        """Layers of the one network."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """Layers of the other."""
        ...

    @property
    def values(self) -> np.ndarray:
        """Similarities, ``(rows, columns)``."""
        ...


def layer_similarity(
    similarity: SimilarityLike,
    *,
    rows: str = "before training",
    columns: str = "after training",
    title: str = "",
    alt: str | None = None,
) -> Picture:
    """Draw how alike the layers of two networks are, and each layer with itself in the other.

    Parameters
    ----------
    similarity : Similarity
        For instance ``measure.cka_matrix(before, after)``, layers from input to output.
    rows, columns : str
        Which network stands where.
    title : str
    alt : str, optional
        Default: written from the numbers.

    Returns
    -------
    Picture
        A map of all pairs and, when the two share layers, a line of those with themselves.

    Raises
    ------
    BadInput
        When the values do not have a row and a column per layer.
    """
    values = np.asarray(similarity.values, np.float64)
    if values.shape != (len(similarity.rows), len(similarity.columns)) or not values.size:
        raise BadInput(
            f"Values of shape {values.shape} for {len(similarity.rows)} by {len(similarity.columns)} layers.",
            "Give what measure.cka_matrix(before, after) returns.",
        )
    same = {
        name: float(values[k, similarity.columns.index(name)])
        for k, name in enumerate(similarity.rows)
        if name in similarity.columns
    }
    with styled():
        height = 1.5 + 0.3 * max(5, min(len(similarity.rows), 12))
        figure, (axes, *rest) = _panels(2 if same else 1, height)
        _heat(figure, axes, similarity, values, rows, columns)
        if rest:
            _with_itself(rest[0], same)
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=12, weight="bold")
    return Picture(figure, alt or _similarity_words(similarity, values, same, rows, columns))


def _panels(count: int, height: float) -> tuple[Any, Any]:
    figure, grid = panels(1, count, figsize=(7.8 if count > 1 else 4.6, height))
    return figure, grid[0]


def _heat(
    figure: Any, axes: Any, similarity: SimilarityLike, values: np.ndarray, rows: str, columns: str
) -> None:
    image = axes.imshow(values, vmin=0, vmax=1, cmap="Blues", aspect="auto")
    if max(values.shape) <= _MOST_VALUES:
        for (i, j), value in np.ndenumerate(values):
            axes.text(
                j,
                i,
                f"{100 * value:.0f}",
                ha="center",
                va="center",
                fontsize=9 if max(values.shape) <= 7 else 8,
                color="white" if value > 0.67 else "0.15",
            )
    else:
        figure.colorbar(image, ax=axes, format=percent_tick, shrink=0.8)
    axes.set_yticks(range(len(similarity.rows)), similarity.rows, fontsize=9)
    _slanted(axes, similarity.columns)
    axes.set(xlabel=columns, ylabel=rows)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_title("CKA of every pair, %")


def _with_itself(axes: Any, same: Mapping[str, float]) -> None:
    axes.plot(range(len(same)), list(same.values()), marker="o", color=PALETTE[0])
    _slanted(axes, tuple(same))
    axes.set_xlim(-0.5, len(same) - 0.5)
    axes.set_ylim(min(0.0, *same.values()) * 1.1, 1.04)  # a debiased one may be below 0
    axes.yaxis.set_major_formatter(percent_tick)
    axes.set_title("CKA of each layer with itself")


def _slanted(axes: Any, names: tuple[str, ...]) -> None:
    axes.set_xticks(range(len(names)), names, fontsize=9, rotation=45, ha="right", rotation_mode="anchor")


def _similarity_words(
    similarity: SimilarityLike, values: np.ndarray, same: Mapping[str, float], rows: str, columns: str
) -> str:
    start = f"CKA of {len(similarity.rows)} layers {rows} with {len(similarity.columns)} layers {columns}"
    if same:
        told = ", ".join(f"{name} {value:.0%}" for name, value in same.items())
        return f"{start}. Each layer with itself: {told}."
    i, j = np.unravel_index(int(values.argmax()), values.shape)
    most = f"{similarity.rows[i]} and {similarity.columns[j]}, {values[i, j]:.0%}"
    return f"{start}. Most alike: {most}; least: {values.min():.0%}."


def weight_movement(
    start: Mapping[str, np.ndarray],
    weights: Mapping[str, np.ndarray],
    *,
    block_of: Callable[[str], str] | None = None,
    title: str = "How far each block moved",
    alt: str | None = None,
) -> Picture:
    """Draw how far a fit moved each block, ``‖w - w₀‖ / ‖w₀‖``; BatchNorm statistics have bars of their own.

    `measure.movement` gives the numbers.

    Parameters
    ----------
    start, weights : mapping of str to numpy.ndarray
        Before and after, from input to output: ``tuned.start`` and ``tuned.weights``.
    block_of : callable, optional
        From a layer's name to its block. Default: the part before the first underscore.
    title : str
    alt : str, optional
        Default: written from the numbers.

    Returns
    -------
    Picture

    Raises
    ------
    BadInput
        As `measure.movement`.
    """
    from course_lib.measure.movement import NORMS, movement

    moved = movement(start, weights, block_of=block_of)
    learnt, gathered = _resting_joined(moved.of(), moved.of(NORMS))
    blocks = list(dict.fromkeys([*learnt, *gathered]))
    some = any(gathered.values())  # statistics that all stood still are said in words, without bars
    finite = [v for v in (*learnt.values(), *gathered.values()) if math.isfinite(v)]
    longest = max(finite, default=0.0) or 1.0
    with styled():
        figure, ((axes,),) = panels(
            figsize=(7.2, 1.3 + (0.3 + 0.46 * len(blocks) if some else 0.3 * len(blocks)))
        )
        places = {block: float(-k) for k, block in enumerate(blocks)}
        offset = 0.2 if some else 0.0
        _movement_bars(axes, learnt, places, longest, offset, style=0, name="weights")
        if some:
            _movement_bars(axes, gathered, places, longest, -offset, style=1, name="BatchNorm statistics")
            figure.legend(loc="outside lower center", ncols=2)
        axes.set_yticks(list(places.values()), blocks)
        axes.set_ylim(-len(blocks) + 0.4, 0.6)
        axes.set_xlim(0, 1.16 * longest)
        axes.xaxis.set_major_formatter(percent_tick)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(
            "‖w - w₀‖ / ‖w₀‖" + ("" if some or not gathered else "; BatchNorm statistics stood still")
        )
        axes.set_title(title)
    return Picture(figure, alt or _movement_words(title, learnt, gathered, some))


def _resting_joined(
    learnt: Mapping[str, float], gathered: Mapping[str, float]
) -> tuple[dict[str, float], dict[str, float]]:
    """Make one row of the blocks before the first that moved, which are frozen as a rule.

    Examples
    --------
    >>> _resting_joined({"stem": 0.0, "block0": 0.0, "head": 0.5}, {"block0": 0.0, "head": 0.1})
    ({'stem to block0': 0.0, 'head': 0.5}, {'stem to block0': 0.0, 'head': 0.1})
    """
    blocks = list(dict.fromkeys([*learnt, *gathered]))
    resting = list(takewhile(lambda b: not (learnt.get(b) or gathered.get(b)), blocks))
    if len(resting) < 2:
        return dict(learnt), dict(gathered)
    joined = f"{resting[0]} to {resting[-1]}"

    def without(moved: Mapping[str, float]) -> dict[str, float]:
        rest = {block: value for block, value in moved.items() if block not in resting}
        return {joined: 0.0, **rest} if len(rest) < len(moved) else rest

    return without(learnt), without(gathered)


def _movement_bars(
    axes: Any,
    moved: Mapping[str, float],
    places: Mapping[str, float],
    longest: float,
    offset: float,
    *,
    style: int,
    name: str,
) -> None:
    from course_lib.measure.movement import relative_words

    for k, (block, value) in enumerate(moved.items()):
        length, place = min(value, longest), places[block] + offset
        axes.barh(
            place,
            length,
            height=0.36 if offset else 0.62,
            facecolor=PALETTE[style],
            hatch=HATCHES[style],
            edgecolor="white",
            label=name if k == 0 else None,
        )
        axes.text(length + 0.012 * longest, place, relative_words(value), va="center", fontsize=9)


def _movement_words(
    title: str, learnt: Mapping[str, float], gathered: Mapping[str, float], some: bool
) -> str:
    from course_lib.measure.movement import relative_words

    def told(moved: Mapping[str, float]) -> str:
        return ", ".join(f"{block} {relative_words(value)}" for block, value in moved.items())

    still = " BatchNorm statistics stood still." if gathered else ""
    norms = f" BatchNorm statistics: {told(gathered)}." if some else still
    return f"{title}, relative to its length at the start. Weights: {told(learnt)}.{norms}"
