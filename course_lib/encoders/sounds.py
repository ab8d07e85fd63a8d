"""Encoders of sounds: the spectrogram itself, its cepstrum, and ImageNet's network looking at it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any, overload

import numpy as np

from course_lib.encoders.cache import fingerprints
from course_lib.encoders.layers import LayerEncoder, by_layer
from course_lib.encoders.spectrogram import BANDS, FLOOR, cepstrum, checked_waves, mel_spectrogram
from course_lib.encoders.timing import Timing
from course_lib.errors import BadInput
from course_lib.tasks.task import Split, Task
from course_lib.tasks.wav import RATE

LAYER = "block10"
"""Of ImageNet's network the layer that hears best: see notebook 13."""

Work = Callable[[np.ndarray], np.ndarray]


class _Remembered:
    """A function of sounds, row by row, whose results are kept in memory.

    A learning curve encodes the same test set dozens of times; a picture of a sound takes 4 KB.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._kept: dict[bytes, np.ndarray] = {}
        self._each = 0.0

    def __call__(self, x: np.ndarray) -> tuple[np.ndarray, Timing]:
        ids = fingerprints(x)
        fresh = list({i: row for row, i in enumerate(ids) if i not in self._kept}.values())
        start = time.perf_counter()
        if fresh or not ids:
            made = self._work(x[fresh])
            self._kept |= {ids[row]: one for row, one in zip(fresh, made, strict=True)}
        seconds = time.perf_counter() - start
        if fresh:
            self._each = seconds / len(fresh)
        out = np.stack([self._kept[i] for i in ids]) if ids else made
        return out, Timing(len(ids), len(fresh), seconds, self._each)


class SpectrogramEncoder:
    """Describes a sound by numbers read off its spectrogram; made by `spectrograms` and `cepstra`.

    Attributes
    ----------
    name : str
    dim : int
        Columns of the features.
    rate : int
        Samples per second that it expects.
    last : Timing or None
        What the last `encode` cost.
    """

    def __init__(self, name: str, dim: int, rate: int, work: Work) -> None:
        self.name, self.dim, self.rate = name, dim, rate
        self.last: Timing | None = None
        self._work = _Remembered(work)

    def encode(self, data: Split | np.ndarray) -> np.ndarray:
        """Return the features of sounds ``(n, samples)`` float, as ``(n, dim)`` float32.

        Raises
        ------
        BadInput
            For anything but sounds of one length, at least a frame for each slice of time.
        """
        features, self.last = self._work(checked_waves(data))
        return features

    def __repr__(self) -> str:
        return f"SpectrogramEncoder({self.name!r}: {self.rate:,} samples per second → {self.dim:,} features)"


def spectrograms(
    *, bands: int = 32, steps: int = 16, rate: int = RATE, floor: float = FLOOR
) -> SpectrogramEncoder:
    """Return the baseline: the log-mel spectrogram itself, flattened.

    Parameters
    ----------
    bands : int
        Bands of pitch.
    steps : int
        Slices of time; the decibels of each are averaged.
    rate : int
    floor : float
        As in `mel_spectrogram`.

    Returns
    -------
    SpectrogramEncoder
        Of ``bands · steps`` features.

    Examples
    --------
    >>> spectrograms().encode(np.zeros((2, 8000))).shape
    (2, 512)
    """

    def work(x: np.ndarray) -> np.ndarray:
        decibels = mel_spectrogram(x, rate, bands=bands, floor=floor)
        return _slices(decibels, steps).reshape(len(x), bands * steps)

    return SpectrogramEncoder("log-mel", bands * steps, rate, work)


def cepstra(
    *, coefficients: int = 13, steps: int = 0, rate: int = RATE, floor: float = FLOOR
) -> SpectrogramEncoder:
    """Return the baseline that speech recognition lived on for decades: cepstral coefficients (MFCC).

    Parameters
    ----------
    coefficients : int
        Per frame; see `cepstrum`.
    steps : int
        0: mean and standard deviation of each coefficient over time. Else means of so many slices of time.
    rate : int
    floor : float
        As in `mel_spectrogram`.

    Returns
    -------
    SpectrogramEncoder
        Of ``2 · coefficients`` features, or ``steps · coefficients``.

    References
    ----------
    Davis & Mermelstein (1980), IEEE Trans. ASSP 28.

    Examples
    --------
    >>> cepstra().encode(np.zeros((2, 8000))).shape
    (2, 26)
    """

    def work(x: np.ndarray) -> np.ndarray:
        c = cepstrum(mel_spectrogram(x, rate, bands=BANDS, floor=floor), coefficients)
        if not steps:
            return np.concatenate([c.mean(axis=2), c.std(axis=2)], axis=1)
        return _slices(c, steps).reshape(len(x), -1)

    return SpectrogramEncoder("MFCC", coefficients * (steps or 2), rate, work)


def _slices(x: np.ndarray, steps: int) -> np.ndarray:
    """Return means over `steps` slices of time, as equal as they go; ``(n, rows, steps)``."""
    frames = x.shape[2]
    if not 1 <= steps <= frames:
        raise BadInput(f"steps={steps} of {frames} frames.", f"Give 1 to {frames}, or longer sounds.")
    edges = np.linspace(0, frames, steps + 1).astype(int)
    return np.stack([x[:, :, a:b].mean(axis=2) for a, b in pairwise(edges)], axis=2)


def pictures_of(decibels: np.ndarray, floor: float = FLOOR) -> np.ndarray:
    """Return a spectrogram as grey pictures: loud is bright, high is up.

    Parameters
    ----------
    decibels : numpy.ndarray
        ``(n, bands, frames)``, `floor` to 0.
    floor : float

    Returns
    -------
    numpy.ndarray
        ``(n, bands, frames, 1)`` uint8.

    Examples
    --------
    >>> pictures_of(np.array([[[-50.0, -25.0], [0.0, -50.0]]]))[0, ..., 0].tolist()
    [[255, 0], [0, 128]]
    """
    grey = np.rint(np.clip(1 - decibels / floor, 0, 1) * 255)
    return np.ascontiguousarray(grey[:, ::-1, :, None], np.uint8)


@overload
def sound_pictures(data: Task, rate: int = ..., *, floor: float = ...) -> Task: ...
@overload
def sound_pictures(data: Split, rate: int = ..., *, floor: float = ...) -> Split: ...
@overload
def sound_pictures(data: np.ndarray, rate: int = ..., *, floor: float = ...) -> np.ndarray: ...
def sound_pictures(data: Any, rate: int = RATE, *, floor: float = FLOOR) -> Any:
    """Return sounds as grey pictures of their log-mel spectrograms.

    A task of sounds becomes a task of pictures that every method of the course for pictures takes: nothing
    downstream knows that it was sound.

    Parameters
    ----------
    data : Task, Split or numpy.ndarray
        Sounds ``(n, samples)``.
    rate : int
    floor : float
        As in `mel_spectrogram`.

    Returns
    -------
    Task, Split or numpy.ndarray
        As `data`; the examples are ``(n, 64, frames, 1)`` uint8.

    Raises
    ------
    BadInput
        As `mel_spectrogram`.

    Examples
    --------
    >>> sound_pictures(np.zeros((2, 8000))).shape
    (2, 64, 64, 1)
    """
    if isinstance(data, Task):
        made = {
            part: sound_pictures(getattr(data, part), rate, floor=floor)
            for part in ("train", "validation", "test")
        }
        return replace(data, name=f"{data.name}, pictures", **made)
    pictures = pictures_of(mel_spectrogram(data, rate, floor=floor), floor)
    return replace(data, x=pictures) if isinstance(data, Split) else pictures


class SoundEncoder:
    """ImageNet's network looking at spectrograms; made by `sounds`.

    Attributes
    ----------
    name : str
    dim : int
    rate : int
        Samples per second that it expects.
    look : LayerEncoder
        What looks at the pictures; its features are cached on disk.
    """

    def __init__(self, look: LayerEncoder, rate: int, floor: float) -> None:
        self.name, self.dim, self.rate, self.look = f"{look.name}, hearing", look.dim, rate, look
        self._pictures = _Remembered(lambda x: sound_pictures(x, rate, floor=floor))

    @property
    def last(self) -> Timing | None:
        """What the last `encode` cost: the network's pass."""
        return self.look.last

    def pictures(self, data: Split | np.ndarray) -> np.ndarray:
        """Return what the network is shown, ``(n, 64, frames, 1)`` uint8."""
        return self._pictures(checked_waves(data))[0]

    def encode(self, data: Split | np.ndarray, **options: Any) -> np.ndarray:
        """Return features ``(n, dim)`` float32 of sounds ``(n, samples)``; options as of `ImageEncoder`."""
        return self.look.encode(self.pictures(data), **options)

    def __repr__(self) -> str:
        return f"SoundEncoder({self.name!r}: {self.rate:,} samples per second → {self.dim:,} features)"


def sounds(
    pixels: int = 64,
    *,
    layer: str = LAYER,
    rate: int = RATE,
    floor: float = FLOOR,
    weights: str = "imagenet",
) -> SoundEncoder:
    """Return an encoder of sounds that learnt from photographs: ImageNet's network sees the spectrogram.

    Parameters
    ----------
    pixels : int
        Side of the square that the network sees, as in `imagenet`. A second of sound gives a picture of
        64 × 64.
    layer : str
        ``"block10"``, ``"block14"`` or ``"head"``, as in `by_layer`. A spectrogram is no photograph, and the
        last layers are the ones that know photographs.
    rate : int
        Samples per second of the sounds.
    floor : float
        As in `mel_spectrogram`.
    weights : "imagenet" or "random"
        ``"random"`` is the control.

    Returns
    -------
    SoundEncoder

    Raises
    ------
    BadInput
        For an unknown layer, or as `imagenet`.

    References
    ----------
    Palanisamy, Singhania & Yao (2020), "Rethinking CNN models for audio classification", arXiv:2007.11154;
    Gong, Chung & Glass (2021), "AST: Audio Spectrogram Transformer", Interspeech.

    Examples
    --------
    >>> sounds().dim
    672
    """
    layers = by_layer(pixels, weights=weights)
    if layer not in layers:
        raise BadInput(f"layer={layer!r}.", f"Give one of {', '.join(layers)}.")
    return SoundEncoder(layers[layer], rate, floor)
