"""Who finds whom: similarities of pairs, and what each row takes for its partner."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from course_lib.errors import BadInput
from course_lib.show.picture import Picture
from course_lib.show.style import WRONG, panels, styled

MOST = 40
"""Pairs that can be drawn."""

_LONGEST = 26  # characters of a label, Chinese ones counting twice


def retrieval(
    similarities: np.ndarray | Mapping[str, np.ndarray],
    *,
    names: tuple[str, str] = ("queries", "targets"),
    queries: Sequence[str] | np.ndarray | None = None,
    targets: Sequence[str] | np.ndarray | None = None,
    title: str = "",
    alt: str | None = None,
) -> Picture:
    """Draw the similarities of pairs, partners on the diagonal, and mark what each query finds.

    A ring on the diagonal is a partner that was found among the pairs drawn, a cross is another row in its
    place. Darker is nearer, each panel on its own scale. To see what is hard, draw rows of
    ``retrieval.misses()`` and what they found.

    Parameters
    ----------
    similarities : numpy.ndarray or dict of str to numpy.ndarray
        ``(m, m)``, queries by targets, from `measure.similarities`; up to three side by side, for instance
        before and after a correction.
    names : tuple of str
        What rows and columns are, for instance ``("English", "Chinese")``.
    queries, targets : sequence of str, optional
        Labels of the rows and of the columns; long ones are cut.
    title : str
    alt : str, optional
        Default: written from the numbers.

    Returns
    -------
    Picture

    Raises
    ------
    BadInput
        When there is no matrix or more than three, one is not square and finite, they differ in size, hold
        more than 40 pairs, or labels are not as many.
    """
    shown = dict(similarities) if isinstance(similarities, Mapping) else {"": np.asarray(similarities)}
    m = _checked(shown, queries, targets)
    labelled = queries is not None or targets is not None
    side = max(0.13 * m, 1.9) if labelled else 2.7
    columns = len(shown)
    with styled():
        size = (
            (side + 0.2) * columns + 0.4 + _room(queries),
            side + 0.75 + _room(targets) + 0.3 * bool(title),
        )
        figure, grid = panels(1, columns, figsize=size)
        for axes, (name, scores) in zip(grid[0], shown.items(), strict=True):
            found = _panel(axes, np.asarray(scores))
            axes.set_title(f"{name + ': ' if name else ''}{found} of {m} found", fontsize=11)
            axes.set_xlabel(names[1])
            _label(axes, "x", targets)
        grid[0, 0].set_ylabel(names[0])
        for k, axes in enumerate(grid[0]):
            _label(axes, "y", queries if k == 0 else None)
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=12, weight="bold")
    return Picture(figure, alt or _words(shown, names, title, queries, targets))


def _panel(axes: Any, scores: np.ndarray) -> int:
    """Draw one matrix and return how many rows find their partner."""
    rows, best = np.arange(len(scores)), scores.argmax(axis=1)
    low, high = np.percentile(scores, (2, 99.5))
    axes.imshow(scores, cmap="Blues", vmin=low, vmax=max(high, low + 1e-9), aspect="auto")
    right = best == rows
    axes.plot(best[right], rows[right], "o", ms=4.5, markerfacecolor="none", markeredgecolor="white", mew=1.1)
    for colour, width in (("white", 3.6), (WRONG, 1.8)):  # the white shows it on dark cells
        axes.plot(best[~right], rows[~right], "x", ms=5.5, color=colour, mew=width)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return int(right.sum())


def _label(axes: Any, which: str, labels: Sequence[str] | np.ndarray | None) -> None:
    axis = axes.xaxis if which == "x" else axes.yaxis
    if labels is None:
        axis.set_ticks([])
        return
    texts = [_cut(str(label)) for label in labels]
    below = which == "x"
    upright = below and all(_is_wide(text[0]) for text in texts if text)
    if upright:  # Chinese is read from top to bottom as well
        texts = ["\n".join(text) for text in texts]
    axis.set_ticks(range(len(labels)), [text.replace("$", r"\$") for text in texts])
    axes.tick_params(axis=which, labelsize=7.5, length=0, labelrotation=90 if below and not upright else 0)
    if upright:
        for label in axes.get_xticklabels():
            label.set_linespacing(0.95)


def _room(labels: Sequence[str] | np.ndarray | None) -> float:
    """Return the inches that labels need."""
    if labels is None:
        return 0.0
    widths = [sum(2 if _is_wide(c) else 1 for c in _cut(str(label))) for label in labels]
    return 0.1 + 0.058 * max(widths)


def _cut(label: str) -> str:
    """Return the beginning of a label that is too long, a Chinese character being as wide as two letters."""
    room = _LONGEST
    for place, character in enumerate(label):
        room -= 2 if _is_wide(character) else 1
        if room < 0:
            return label[:place] + "…"
    return label


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"


def _checked(shown: Mapping[str, np.ndarray], *labels: Sequence[str] | np.ndarray | None) -> int:
    """Return the number of pairs."""
    shapes = {np.shape(scores) for scores in shown.values()}
    if not 1 <= len(shown) <= 3 or len(shapes) != 1:
        raise BadInput(
            f"{len(shown)} matrices of {len(shapes)} shapes; 1 to 3 of one shape fit side by side.",
            "Give a dict of names to matrices of the same pairs.",
        )
    shape = shapes.pop()
    if len(shape) != 2 or shape[0] != shape[1] or not 1 < shape[0] <= MOST:
        raise BadInput(
            f"Similarities of shape {shape}; expected (m, m) of 2 to {MOST} pairs.",
            "Choose pairs: measure.similarities(english, chinese, rows=np.arange(25)).",
        )
    if not all(np.isfinite(scores).all() for scores in shown.values()):
        raise BadInput("Some similarities are NaN or infinite.", "Look at the rows that they come from.")
    for given in labels:
        if given is not None and len(given) != shape[0]:
            raise BadInput(f"{len(given)} labels for {shape[0]} pairs.", "Give one per pair.")
    return int(shape[0])


def _words(
    shown: Mapping[str, np.ndarray],
    names: tuple[str, str],
    title: str,
    queries: Sequence[str] | np.ndarray | None,
    targets: Sequence[str] | np.ndarray | None,
) -> str:
    said = [f"{title or f'{names[0]} looking for {names[1]}'}."]
    for name, scores in shown.items():
        m, best = len(scores), np.argmax(scores, axis=1)
        wrong = np.flatnonzero(best != np.arange(m))
        line = f"{name + ': ' if name else ''}{m - len(wrong)} of these {m} find their partner"
        if len(wrong):
            row, instead = int(wrong[0]), int(best[wrong[0]])
            asked = f"row {row + 1}" if queries is None else f"“{queries[row]}”"
            line += (
                f"; {asked} finds {f'column {instead + 1}' if targets is None else f'“{targets[instead]}”'}"
            )
        said.append(line + ".")
    return " ".join(said)
