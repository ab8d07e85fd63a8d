"""An encoder that learns without a single label: a dictionary of small patches."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from course_lib.encoders.cache import fingerprints
from course_lib.encoders.images import checked_pictures
from course_lib.encoders.timing import Timing
from course_lib.errors import BadInput
from course_lib.tasks.task import Split

_BATCH = 50  # pictures whose patches are held at once: 16 MB at 32 px
_CONTRAST = 10.0  # added to a patch's variance: an even patch is not blown up into noise
_WHITENING = 0.1  # added to each direction's variance, for the same reason


class PatchEncoder:
    """Describes a picture by which patches of a dictionary it holds, and in which quarter.

    Made by `patch_dictionary`. Attributes as there, and:

    Attributes
    ----------
    dim : int
        Features: four quarters times the atoms.
    last : Timing or None
        What the last `encode` cost.
    """

    def __init__(
        self, name: str, centre: np.ndarray, whiten: np.ndarray, atoms: np.ndarray, size: int, pixels: int
    ) -> None:
        self.name, self.size, self.pixels = name, size, pixels
        self.dim = 4 * len(atoms)
        self.last: Timing | None = None
        self._centre, self._whiten, self._atoms = centre, whiten, atoms
        self._kept: dict[bytes, np.ndarray] = {}
        self._spent = 0.0

    @property
    def pictures(self) -> np.ndarray:
        """The dictionary as pictures ``(atoms, size, size, 3)`` uint8, each stretched to its full range."""
        shown = (self._atoms @ np.linalg.inv(self._whiten)).reshape(len(self._atoms), -1)
        shown /= np.abs(shown).max(axis=1, keepdims=True) + 1e-9
        shown = np.round(127.5 * (1 + shown)).astype(np.uint8)
        return shown.reshape(-1, 3, self.size, self.size).transpose(0, 2, 3, 1)

    def encode(self, data: Split | np.ndarray) -> np.ndarray:
        """Return the features of pictures; those that this encoder has seen are looked up.

        Parameters
        ----------
        data : Split or numpy.ndarray
            ``(n, height, width, 1 or 3)`` uint8. Resized to the encoder's square; grey becomes RGB.

        Returns
        -------
        numpy.ndarray
            ``(n, dim)`` float32, not negative.
        """
        x = checked_pictures(data)
        ids = fingerprints(x)
        fresh = list({i: row for row, i in enumerate(ids) if i not in self._kept}.values())
        start = time.perf_counter()
        for low in range(0, len(fresh), _BATCH):
            rows = fresh[low : low + _BATCH]
            for row, found in zip(rows, self._features(_squares(x[rows], self.pixels)), strict=True):
                self._kept[ids[row]] = found
        seconds = time.perf_counter() - start
        if fresh:
            self._spent = seconds / len(fresh)
        self.last = Timing(len(x), len(fresh), seconds, self._spent)
        return np.stack([self._kept[i] for i in ids]) if ids else np.empty((0, self.dim), np.float32)

    def _features(self, x: np.ndarray) -> np.ndarray:
        """Return ``(n, dim)`` activations of pictures ``(n, pixels, pixels, 3)``, averaged by quarter."""
        views = _windows(x, self.size)
        n, side = views.shape[:2]
        z = (_normalised(views.reshape(n * side * side, -1)) - self._centre) @ self._whiten
        distance = (
            np.square(z).sum(axis=1)[:, None] - 2 * z @ self._atoms.T + np.square(self._atoms).sum(axis=1)
        )
        distance = np.sqrt(np.maximum(distance, 0))
        near = np.maximum(distance.mean(axis=1, keepdims=True) - distance, 0).reshape(n, side, side, -1)
        halves = (slice(0, side // 2), slice(side // 2, side))
        return np.concatenate([near[:, a, b].mean(axis=(1, 2)) for a in halves for b in halves], axis=1)

    def __repr__(self) -> str:
        return (
            f"PatchEncoder({self.name!r}: {len(self._atoms)} patches of {self.size}×{self.size} → "
            f"{self.dim} features)"
        )


def patch_dictionary(
    pictures: Split | np.ndarray | Sequence[np.ndarray],
    *,
    atoms: int = 128,
    size: int = 6,
    pixels: int = 32,
    samples: int = 40_000,
    learn: bool = True,
    name: str | None = None,
    seed: int = 0,
) -> PatchEncoder:
    r"""Learn a dictionary of patches from pictures without labels.

    Patches are cut at random, brought to the same brightness and contrast, whitened and clustered by k-means;
    the centres are the dictionary. A patch :math:`z` is then described by how much nearer than average each
    centre :math:`c_k` is, :math:`\max(0,\ \bar d(z) - \lVert z - c_k\rVert)`, and a picture by the mean of
    that over each of its quarters.

    Parameters
    ----------
    pictures : Split, array ``(n, height, width, 1 or 3)``, or sequence of arrays ``(height, width, 1 or 3)``
        uint8, taken in the size that they have; labels are not looked at. Two photographs will do.
    atoms : int
        Patches in the dictionary.
    size : int
        Side of a patch.
    pixels : int
        Side to which pictures to encode are resized.
    samples : int
        Patches to learn from.
    learn : bool
        False draws the dictionary at random instead, as long as a patch is on average: a control that has
        everything but the knowledge.
    name : str, optional
    seed : int

    Returns
    -------
    PatchEncoder

    Raises
    ------
    BadInput
        When there is no picture, a picture is smaller than a patch, or there are fewer samples than atoms.

    References
    ----------
    Coates, Ng & Lee (2011), "An analysis of single-layer networks in unsupervised feature learning", AISTATS.

    Examples
    --------
    >>> noise = np.random.default_rng(0).integers(0, 256, (1, 40, 40, 3)).astype(np.uint8)
    >>> encoder = patch_dictionary(noise, atoms=8, samples=500)
    >>> encoder.encode(noise).shape
    (1, 32)
    """
    given = list(pictures.x if isinstance(pictures, Split) else pictures)
    if not given:
        raise BadInput("There is no picture to learn from.", "Give at least one.")
    if not 1 < atoms <= samples:
        raise BadInput(f"atoms={atoms}, samples={samples}.", "Give at least two atoms, and as many samples.")
    rng = np.random.default_rng(seed)
    shares = np.array_split(np.arange(samples), len(given))
    cut = [_cut(picture, len(share), size, rng) for picture, share in zip(given, shares, strict=True)]
    patches = _normalised(np.concatenate(cut))
    centre = patches.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(patches - centre, rowvar=False))
    whiten = ((vectors / np.sqrt(np.maximum(values, 0) + _WHITENING)) @ vectors.T).astype(np.float32)
    z = (patches - centre) @ whiten
    words = name or ("patch dictionary" if learn else "random dictionary")
    found = _clustered(z, atoms, seed) if learn else _random(z, atoms, rng)
    return PatchEncoder(words, centre, whiten, found.astype(np.float32), size, pixels)


def _clustered(z: np.ndarray, atoms: int, seed: int) -> np.ndarray:
    from sklearn.cluster import MiniBatchKMeans

    means = MiniBatchKMeans(atoms, random_state=seed, n_init=3, batch_size=4096).fit(z)
    return np.asarray(means.cluster_centers_)


def _random(z: np.ndarray, atoms: int, rng: np.random.Generator) -> np.ndarray:
    """Return random directions, as long as a patch is on average."""
    drawn = rng.standard_normal((atoms, z.shape[1]))
    length = np.linalg.norm(z, axis=1).mean()
    return np.asarray(drawn * length / np.linalg.norm(drawn, axis=1, keepdims=True))


def _cut(picture: np.ndarray, n: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return `n` patches ``(n, 3 size size)`` from random places of a picture."""
    x = checked_pictures(np.asarray(picture)[None])
    if min(x.shape[1:3]) < size:
        raise BadInput(
            f"A picture of {x.shape[2]}×{x.shape[1]} pixels has no patch of {size}×{size}.",
            "Give larger pictures, or a smaller size.",
        )
    if x.shape[-1] == 1:
        x = np.repeat(x, 3, axis=-1)
    views = _windows(x, size)[0]
    rows, columns = (rng.integers(0, side, n) for side in views.shape[:2])
    return np.asarray(views[rows, columns].reshape(n, -1), np.float32)


def _windows(x: np.ndarray, size: int) -> np.ndarray:
    """Return every patch, ``(n, rows, columns, 3, size, size)``, as a view."""
    return np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))


def _normalised(patches: np.ndarray) -> np.ndarray:
    """Return patches ``(n, d)`` of mean zero and, but for even ones, unit spread; float32."""
    patches = patches.astype(np.float32, copy=False)
    spread = np.sqrt(patches.var(axis=1, keepdims=True) + _CONTRAST)
    return np.asarray((patches - patches.mean(axis=1, keepdims=True)) / spread)


def _squares(x: np.ndarray, pixels: int) -> np.ndarray:
    """Return pictures as RGB squares ``(n, pixels, pixels, 3)`` uint8."""
    if x.shape[1:3] != (pixels, pixels):
        from PIL import Image

        mode = "L" if x.shape[-1] == 1 else "RGB"
        pictures = (Image.fromarray(one.squeeze(-1) if mode == "L" else one) for one in x)
        small = [np.asarray(one.resize((pixels, pixels), Image.Resampling.BILINEAR)) for one in pictures]
        x = np.stack(small).reshape(len(x), pixels, pixels, -1)
    return np.repeat(x, 3, axis=-1) if x.shape[-1] == 1 else x
