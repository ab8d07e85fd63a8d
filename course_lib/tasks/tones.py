"""Sounds made by physical models: nothing to download, and every one of them synthetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from zlib import crc32

import numpy as np

from course_lib.errors import BadInput
from course_lib.tasks.decoded import Arrays, decoded
from course_lib.tasks.task import Split, Task
from course_lib.tasks.wav import RATE

SAMPLES = RATE
"""Every sound lasts one second."""

TAKES = 60
LOWEST, HIGHEST = 150.0, 600.0
BANDS = ("150 to 212 Hz", "212 to 300 Hz", "300 to 424 Hz", "424 to 600 Hz")
ROOMS = ("hall", "street", "studio", "tape", "telephone")
LICENCE = "made here; free of rights"
CITATION = (
    "Karplus & Strong (1983), Digital synthesis of plucked-string and drum timbres, Computer Music Journal "
    "7(2); "
    "Fletcher & Rossing (1998), The physics of musical instruments, 2nd ed., Springer"
)
_VERSION = 2  # changes when the sounds would
_QUIETEST = 1e-3

# Frequencies of the partials as multiples of the first; sources in `tones`.
BAR = (1.0, 2.756, 5.404, 8.933)
TONGUE = (1.0, 6.267, 17.548)
BELL = (0.5, 1.0, 1.183, 1.506, 2.0, 2.514, 2.662, 3.011, 4.166)
_BELL_DECAY = (0.8, 1.0, 1.4, 1.8, 1.6, 2.4, 2.6, 3.0, 4.0)


def tones(
    train: int | None = None,
    *,
    rooms: Sequence[str] | None = None,
    takes: int = TAKES,
    ask: str = "instrument",
    seed: int = 0,
) -> Task:
    r"""Return synthetic sounds: eight physical models, each recorded in five rooms that do not exist.

    One second at 8,000 samples per second. The classes are what vibrates, so that pitch tells nothing: every
    one plays pitches from 150 to 600 Hz (the drum 80 to 200 Hz), at any loudness and beginning at any moment
    of the first fifth of the second.

    - *string, plucked*: noise that runs around a delay line of one period, averaged with its neighbour at
      every turn (Karplus & Strong, 1983): high partials die first;
    - *string, bowed*: the sawtooth of Helmholtz's motion, :math:`\sum_n \sin(2\pi n f t)/n`, with vibrato;
    - *pipe, open*: few harmonics, a slow attack, and breath; *pipe, closed*: odd harmonics alone;
    - *bar, free*: partials at 1 : 2.756 : 5.404 : 8.933 (squares of 3.0112, 5, 7, 9); *tongue, clamped*: 1 :
      6.267 : 17.548;
    - *bell*: hum, prime, minor third, fifth, octave and above;
    - *membrane*: partials at the zeros of the Bessel functions :math:`J_m`, 1 : 1.594 : 2.136 : 2.296 ….

    The rooms are the domains, `Split.groups`: *studio* (nothing added), *hall* (an echo that decays within
    1.2 s), *telephone* (300 to 2,500 Hz and a hum), *tape* (dull, unsteady, hissing) and *street* (noise of
    passing cars).

    Parameters
    ----------
    train : int, optional
        Training labels, stratified and nested; validation shrinks along (`Task.subset`). Default: all.
    rooms : sequence of str, optional
        Some of `ROOMS`. Default: all.
    takes : int
        Sounds of each class in each room: two fifths for test, a tenth for validation, one at least of each.
    ask : "instrument" or "pitch"
        What the labels say. Pitches are in four bands, each half an octave wide; the drum is left out, since
        it has another range, which would give it away.
    seed : int
        Of the sounds and the subset.

    Returns
    -------
    Task
        Sounds ``(n, 8000)`` float32, -1 to 1.

    Raises
    ------
    BadInput
        For an unknown room or question, fewer than three takes, or more labels than exist.

    References
    ----------
    Karplus & Strong (1983); Fletcher & Rossing (1998), chapters 2 (bars), 3 (membranes), 21 (bells).

    Examples
    --------
    >>> tones(takes=3, rooms=["studio"]).train.x.shape
    (8, 8000)
    """
    chosen = ROOMS if rooms is None else tuple(rooms)
    unknown = sorted(set(chosen) - set(ROOMS))
    if unknown or not chosen:
        raise BadInput(f"rooms={list(chosen)}.", f"Give some of {', '.join(ROOMS)}, or None for all.")
    if takes < 3:
        raise BadInput(f"takes={takes}.", "Give at least 3: one to train, one to choose, one to test.")
    if ask not in ("instrument", "pitch"):
        raise BadInput(f"ask={ask!r}.", "Give 'instrument' or 'pitch'.")
    held = {"test": max(2 * takes // 5, 1), "validation": max(takes // 10, 1)}
    first = {"test": 0, "validation": held["test"], "train": held["test"] + held["validation"]}
    last = {"test": first["validation"], "validation": first["train"], "train": takes}
    label = "tones" if ask == "instrument" else "tones, pitch"
    heard = [_room(room, takes, seed) for room in sorted(set(chosen))]
    names = tuple(CLASSES) if ask == "instrument" else BANDS

    def split(part: str) -> Split:
        rows = [(a["take"] >= first[part]) & (a["take"] < last[part]) & (a[ask] >= 0) for a in heard]
        x, y, ids, room = (
            np.concatenate([a[name][r] for a, r in zip(heard, rows, strict=True)])
            for name in ("x", ask, "ids", "room")
        )
        return Split(x, y, names, f"{label}/{part}", "synthetic tones", ids, room)

    task = Task(
        name=label,
        train=split("train"),
        validation=split("validation"),
        test=split("test"),
        class_names=names,
        domain="synthetic tones",
        licence=LICENCE,
        citation=CITATION,
        note=f"synthesised by physical models with seed {seed}; nothing was recorded",
    )
    return task if train is None else task.subset(train, seed=seed)


@lru_cache(maxsize=len(ROOMS))
def _room(room: str, takes: int, seed: int) -> Arrays:
    return decoded(f"tones-{_VERSION}-{RATE}-{room}-{takes}-{seed}", lambda: _made(room, takes, seed))


def _made(room: str, takes: int, seed: int) -> Arrays:
    """Play every instrument in a room, each take with a generator of its own.

    More takes leave those that were there as they are.
    """
    kinds = [(y, name, take) for y, name in enumerate(CLASSES) for take in range(takes)]
    generators = (
        np.random.default_rng([seed, crc32(f"{room}/{name}".encode()), take]) for _, name, take in kinds
    )
    played = [sound(name, room, rng) for (_, name, _), rng in zip(kinds, generators, strict=True)]
    pitch = np.array([hertz for _, hertz in played])
    band = np.floor(len(BANDS) * np.log(pitch / LOWEST) / np.log(HIGHEST / LOWEST)).astype(np.int64)
    drum = np.array([name == "membrane" for _, name, _ in kinds])
    return {
        "x": np.stack([x for x, _ in played]),
        "instrument": np.array([y for y, _, _ in kinds], np.int64),
        "pitch": np.where(drum, -1, np.clip(band, 0, len(BANDS) - 1)),
        "room": np.array([room] * len(kinds)),
        "take": np.array([take for _, _, take in kinds], np.int64),
        "ids": np.array([f"{room}/{name}/{take:03d}/seed{seed}" for _, name, take in kinds]),
    }


def sound(name: str, room: str, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Return one second of an instrument in a room, ``(8000,)`` float32, and its pitch in Hertz.

    Parameters
    ----------
    name : str
        A key of `CLASSES`.
    room : str
        One of `ROOMS`.
    rng : numpy.random.Generator
        Draws pitch, colour, moment, loudness and noise.
    """
    low, high = (80.0, 200.0) if name == "membrane" else (LOWEST, HIGHEST)
    pitch = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    begins = int(rng.integers(0, SAMPLES // 5))
    dry = np.zeros(SAMPLES)
    played = CLASSES[name](pitch, SAMPLES - begins, rng)
    dry[begins:] = played / max(np.abs(played).max(), _QUIETEST)
    heard = _IN_ROOM[room](dry, rng)
    loudness = 10 ** (rng.uniform(-18, -3) / 20)
    return np.asarray(loudness * heard / np.abs(heard).max(), np.float32), pitch


Model = Callable[[float, int, np.random.Generator], np.ndarray]


def _partials(
    pitch: float, n: int, ratios: Sequence[float] | np.ndarray, strengths: np.ndarray, decays: np.ndarray
) -> np.ndarray:
    """Return a sum of partials that decay, those above half the rate left out."""
    t = np.arange(n) / RATE
    out = np.zeros(n)
    for ratio, strength, decay in zip(ratios, strengths, decays, strict=True):
        if ratio * pitch < RATE / 2:
            out += strength * np.exp(-decay * t) * np.sin(2 * np.pi * ratio * pitch * t)
    return out


def _struck(ratios: Sequence[float], seconds: float, tilt: float = 1.0, decay: Sequence[float] = ()) -> Model:
    """Return the model of something struck: the softer the mallet, the weaker the high partials."""
    relative = np.asarray(decay or ratios, float)

    def model(pitch: float, n: int, rng: np.random.Generator) -> np.ndarray:
        softness = tilt * rng.uniform(0.5, 1.5)
        strengths = rng.uniform(0.5, 1.0, len(ratios)) * np.asarray(ratios) ** -softness
        return _partials(pitch, n, ratios, strengths, relative / (seconds * rng.uniform(0.6, 1.6)))

    return model


def _plucked(pitch: float, n: int, rng: np.random.Generator) -> np.ndarray:
    from scipy.signal import lfilter

    period = max(round(RATE / pitch - 0.5), 2)
    pluck = np.zeros(n)
    pluck[:period] = rng.uniform(-1, 1, period)[:n]
    kept = rng.uniform(0.985, 0.998)
    loop = np.zeros(period + 2)
    loop[0], loop[period], loop[period + 1] = 1.0, -kept / 2, -kept / 2
    return np.asarray(lfilter([1.0], loop, pluck))


def _bowed(pitch: float, n: int, rng: np.random.Generator) -> np.ndarray:
    t = np.arange(n) / RATE
    depth, speed = rng.uniform(0.002, 0.008), rng.uniform(4.5, 6.5)
    phase = 2 * np.pi * pitch * (t - depth / (2 * np.pi * speed) * np.cos(2 * np.pi * speed * t))
    harmonics = range(1, int(0.95 * RATE / 2 / pitch) + 1)
    attack = 1 - np.exp(-t / rng.uniform(0.03, 0.1))
    return np.asarray(attack * sum(np.sin(k * phase) / k for k in harmonics))


def _blown(odd: bool) -> Model:
    def model(pitch: float, n: int, rng: np.random.Generator) -> np.ndarray:
        t = np.arange(n) / RATE
        harmonics = np.arange(1, 12, 2 if odd else 1)
        fall = rng.uniform(0.8, 1.3) if odd else rng.uniform(1.6, 2.6)
        tone = _partials(pitch, n, harmonics, harmonics**-fall, np.zeros(len(harmonics)))
        breath = rng.standard_normal(n) * rng.uniform(0.01, 0.05)
        attack = 1 - np.exp(-t / rng.uniform(0.02, 0.08))
        return np.asarray(attack * (tone + breath))

    return model


def membrane_ratios(most: int = 12) -> np.ndarray:
    """Return the partials of an ideal drum skin: zeros of Bessel functions, as multiples of the first.

    Examples
    --------
    >>> membrane_ratios(4).round(3).tolist()
    [1.0, 1.593, 2.136, 2.295]
    """
    from scipy.special import jn_zeros

    zeros = np.sort(np.concatenate([jn_zeros(m, 4) for m in range(8)]))[:most]
    return np.asarray(zeros / zeros[0])


def _drum(pitch: float, n: int, rng: np.random.Generator) -> np.ndarray:
    return _struck(tuple(membrane_ratios()), 0.25, 0.7)(pitch, n, rng)


CLASSES: dict[str, Model] = {
    "string, plucked": _plucked,
    "string, bowed": _bowed,
    "pipe, open": _blown(odd=False),
    "pipe, closed": _blown(odd=True),
    "bar, free": _struck(BAR, 0.5),
    "tongue, clamped": _struck(TONGUE, 0.4, 0.6),
    "bell": _struck(BELL, 0.9, 0.5, _BELL_DECAY),
    "membrane": _drum,
}
"""What vibrates, and the model that lets it."""


def _band(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return `x` between two frequencies, by a Butterworth filter of order 4."""
    from scipy.signal import butter, sosfilt

    edges, kind = ((low, high), "bandpass") if low else (high, "lowpass")
    return np.asarray(sosfilt(butter(4, edges, kind, fs=RATE, output="sos"), x))


def _noise(x: np.ndarray, decibels: float, rng: np.random.Generator) -> np.ndarray:
    """Return noise that lies so far below the loudest tenth of a second of `x`."""
    loudest = np.sqrt(np.square(x[: len(x) // 10 * 10].reshape(10, -1)).mean(axis=1).max())
    return np.asarray(rng.standard_normal(len(x)) * loudest * 10 ** (-decibels / 20))


def _studio(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.asarray(x + _noise(x, 60, rng))


def _hall(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    from scipy.signal import fftconvolve

    t = np.arange(RATE) / RATE
    echo = rng.standard_normal(RATE) * np.exp(-6.9 * t / rng.uniform(0.6, 1.2)) * 0.04
    echo[0] = 1.0
    return np.asarray(fftconvolve(x, echo)[: len(x)] + _noise(x, 50, rng))


def _telephone(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    hum = np.sin(2 * np.pi * 50 * np.arange(len(x)) / RATE + rng.uniform(0, 6)) * 0.02
    return np.asarray(np.tanh(3 * _band(x + _noise(x, 25, rng), 300, 2500)) + hum)


def _tape(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    t = np.arange(len(x))
    wow = 12 * np.sin(2 * np.pi * rng.uniform(0.5, 3) * t / RATE + rng.uniform(0, 6))
    return np.asarray(_band(np.interp(t + wow, t, x), 0, 1200) + _noise(x, 28, rng))


def _street(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    cars = np.cumsum(_noise(x, 0, rng))
    cars = _band(cars - np.linspace(cars[0], cars[-1], len(cars)), 60, 1500)
    swell = 1 + 0.5 * np.sin(2 * np.pi * np.arange(len(x)) / len(x) + rng.uniform(0, 6))
    level = np.sqrt(np.square(_noise(x, rng.uniform(0, 10), rng)).mean())
    return np.asarray(x + cars * swell * level / np.sqrt(np.square(cars).mean()))


_IN_ROOM: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "hall": _hall,
    "street": _street,
    "studio": _studio,
    "tape": _tape,
    "telephone": _telephone,
}
