"""Maps of feature space: many dimensions drawn in two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from course_lib.errors import BadInput, CourseError
from course_lib.show.picture import Picture
from course_lib.show.style import MARKERS, PALETTE, panels, styled

if TYPE_CHECKING:
    from course_lib.tasks.task import Split

METHODS = ("pca", "tsne", "umap")
NAMES = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}


def feature_map(
    features: np.ndarray | Mapping[str, np.ndarray],
    split: Split,
    *,
    how: str = "pca",
    domains: np.ndarray | None = None,
    title: str = "",
    seed: int = 0,
    alt: str | None = None,
) -> Picture:
    """Draw where examples lie in feature space, as seen in two dimensions.

    Parameters
    ----------
    features : numpy.ndarray or dict of str to numpy.ndarray
        ``(n, d)``; several are drawn side by side under their names.
    split : Split
        The ``n`` examples, for classes and names.
    how : "pca", "tsne" or "umap"
        PCA keeps large distances and is a plain projection. t-SNE (van der Maaten & Hinton, 2008) and UMAP
        (McInnes et al., 2018; an optional package) keep neighbours: do not read sizes or distances of
        their clusters.
    domains : numpy.ndarray, optional
        ``(n,)`` of str; examples are then marked by domain (colour), and of two classes
        the second is filled.
    title : str
    seed : int
    alt : str, optional

    Returns
    -------
    Picture

    Raises
    ------
    BadInput
        When lengths differ or `how` is unknown.
    CourseError
        When UMAP is asked for and not installed.
    """
    spaces = {"": features} if isinstance(features, np.ndarray) else dict(features)
    for name, x in spaces.items():
        if len(x) != len(split):
            raise BadInput(
                f"{len(x)} rows of features {name} for {len(split)} examples.", "Encode this split."
            )
    if domains is not None and len(domains) != len(split):
        raise BadInput(f"{len(domains)} domains for {len(split)} examples.", "Give one per example.")
    if not spaces:
        raise BadInput("No features were given.", "Give an array, or a dict of names to arrays.")
    kept = []
    with styled():
        figure, grid = panels(1, len(spaces), figsize=(7.6 if len(spaces) > 1 else 6.4, 4.2))
        for axes, (name, x) in zip(grid[0], spaces.items(), strict=True):
            flat, share = project(np.asarray(x), how=how, seed=seed)
            _scatter(axes, flat, split, domains)
            axes.set_title(name or title)
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set(xlabel=f"{NAMES[how]} 1", ylabel=f"{NAMES[how]} 2")
            if share is not None:
                kept.append(f"{name + ': ' if name else ''}two components keep {share:.0%} of the variance")
        if title and "" not in spaces:
            figure.suptitle(title, x=0.01, ha="left", fontsize=12, weight="bold")
        handles, labels = grid[0][0].get_legend_handles_labels()
        figure.legend(
            handles,
            labels,
            loc="outside lower center",
            ncols=min(5, len(labels)),
            fontsize=9,
            markerscale=1.5,
        )
    groups = sorted(set(domains)) if domains is not None else list(split.class_names)
    words = f"Map ({NAMES[how]}) of {len(split):,} examples of {split.name}"
    words += f", marked by {', '.join(map(str, groups))}"
    return Picture(figure, alt or f"{words}. {'; '.join(kept)}".rstrip(". ") + ".")


def project(x: np.ndarray, *, how: str = "pca", seed: int = 0) -> tuple[np.ndarray, float | None]:
    """Return ``(n, 2)`` coordinates, and the share of variance that they keep (PCA only).

    Examples
    --------
    >>> flat, share = project(np.eye(4, 3))
    >>> flat.shape, round(share, 2)
    ((4, 2), 0.89)
    """
    if how == "pca":
        from sklearn.decomposition import PCA

        pca = PCA(2, random_state=seed, svd_solver="full" if min(x.shape) < 50 else "randomized")
        flat = pca.fit_transform(x)
        return np.asarray(flat), float(pca.explained_variance_ratio_.sum())
    if how == "tsne":
        from sklearn.manifold import TSNE

        return np.asarray(TSNE(2, random_state=seed, init="pca").fit_transform(x)), None
    if how == "umap":
        try:
            import umap
        except ImportError:
            raise CourseError("UMAP is not installed.", "pip install umap-learn, or how='tsne'.") from None
        return np.asarray(umap.UMAP(random_state=seed).fit_transform(x)), None
    raise BadInput(f"how={how!r}.", f"Choose one of {', '.join(METHODS)}.")


def _scatter(axes: Any, flat: np.ndarray, split: Split, domains: np.ndarray | None) -> None:
    if domains is None:
        for k, name in enumerate(split.class_names):
            rows = split.y == k
            axes.scatter(
                *flat[rows].T,
                s=16,
                marker=MARKERS[(k // len(PALETTE) + k) % len(MARKERS)],
                color=PALETTE[k % len(PALETTE)],
                alpha=0.65,
                lw=0,
                label=name,
            )
        return
    two = len(split.class_names) == 2
    for k, domain in enumerate(sorted(set(domains.tolist()))):
        for c, name in enumerate(split.class_names if two else ("",)):
            rows = (domains == domain) & ((split.y == c) | (not two))
            colour = PALETTE[k % len(PALETTE)]
            axes.scatter(
                *flat[rows].T,
                s=20,
                marker=MARKERS[k % len(MARKERS)],
                facecolor=colour if c or not two else "none",
                edgecolor=colour,
                alpha=0.7,
                lw=0.9,
                label=f"{domain}, {name}" if two else str(domain),
            )
