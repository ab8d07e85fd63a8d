"""Sound as a picture: which frequencies it holds, moment by moment."""

from __future__ import annotations

import numpy as np

from course_lib.errors import BadInput
from course_lib.tasks.task import Split
from course_lib.tasks.wav import RATE

BANDS = 64
WINDOW, HOP = 256, 125
"""Samples: 32 ms of sound, every 15.6 ms, so that a second becomes 64 frames."""

LOW = 60.0
"""Hertz; below lies the mains' hum rather than a voice."""

FLOOR = -50.0
"""Decibels below a sound's loudest spot; what is quieter counts as silence."""

_AT_ONCE = 200  # sounds whose spectra are held at once: 27 MB
_NOTHING = 1e-12  # of power, beside the loudest: -120 dB


def power_spectrogram(waves: np.ndarray, *, window: int = WINDOW, hop: int = HOP) -> np.ndarray:
    r"""Return the power of every frequency in every frame.

    Frame k is the sound around sample ``k · hop`` (beyond its ends there is silence), multiplied by a Hann
    window :math:`w_j = \tfrac12 - \tfrac12\cos(2\pi j/N)`, so that it begins and ends softly, and
    transformed:

    .. math:: P_{f,k} = \Bigl|\sum_{j<N} w_j\, x_{k h + j - N/2}\; e^{-2\pi i f j / 2N}\Bigr|^2

    (filled up with as many zeros again, so that frequencies lie twice as close).

    Parameters
    ----------
    waves : numpy.ndarray
        ``(n, samples)``.
    window, hop : int
        N and h, in samples.

    Returns
    -------
    numpy.ndarray
        ``(n, window + 1, ceil(samples / hop))`` float32. Row f is the frequency ``f · rate / (2 · window)``.

    Raises
    ------
    BadInput
        When the sounds are no array of finite numbers, or `window` or `hop` make no sense.

    Examples
    --------
    >>> power_spectrogram(np.zeros((2, 8000))).shape
    (2, 257, 64)
    """
    x = checked_waves(waves)
    if not (4 <= window <= 65_536 and window % 2 == 0 and 1 <= hop <= window):
        raise BadInput(
            f"window={window}, hop={hop}.", "Give an even window, and a hop no longer than it: 256 and 125."
        )
    frames = -(-x.shape[1] // hop)
    taper = np.hanning(window + 1)[:-1].astype(np.float32)
    out = np.empty((len(x), window + 1, frames), np.float32)
    for first in range(0, len(x), _AT_ONCE):
        padded = np.pad(x[first : first + _AT_ONCE], ((0, 0), (window // 2, window)))
        view = np.lib.stride_tricks.sliding_window_view(padded, window, axis=1)[:, ::hop][:, :frames]
        spectra = np.fft.rfft(view * taper, 2 * window, axis=2)
        out[first : first + _AT_ONCE] = np.square(np.abs(spectra)).transpose(0, 2, 1)
    return out


def hertz_to_mel(hertz: np.ndarray | float) -> np.ndarray:
    """Return the pitch that one hears, in mel: ``2595 log10(1 + f / 700)``; 1,000 Hz are 1,000 mel."""
    return np.asarray(2595 * np.log10(1 + np.asarray(hertz, float) / 700))


def mel_to_hertz(mel: np.ndarray | float) -> np.ndarray:
    """Return the frequency of a pitch in mel; the inverse of `hertz_to_mel`."""
    return np.asarray(700 * (10 ** (np.asarray(mel, float) / 2595) - 1))


def mel_filters(
    bins: int, rate: int = RATE, *, bands: int = BANDS, low: float = LOW, high: float | None = None
) -> np.ndarray:
    r"""Return triangles over the frequencies, equally wide to the ear.

    Edges :math:`e_0 < \dots < e_{B+1}` are equally far apart in mel. Band b rises from :math:`e_b` to 1 at
    :math:`e_{b+1}` and falls to :math:`e_{b+2}`:

    .. math:: H_{b}(f) = \max\Bigl(0, \min\Bigl(\tfrac{f - e_b}{e_{b+1} - e_b},
              \tfrac{e_{b+2} - f}{e_{b+2} - e_{b+1}}\Bigr)\Bigr)

    Parameters
    ----------
    bins : int
        Frequencies of the spectrogram, from 0 to half the rate, both included.
    rate : int
    bands : int
        B.
    low, high : float
        Hertz where the first band begins and the last ends. Default of `high`: half the rate.

    Returns
    -------
    numpy.ndarray
        ``(bands, bins)`` float64.

    Raises
    ------
    BadInput
        When `low` and `high` do not lie in order below half the rate, or a band is so narrow that it holds no
        frequency of the spectrogram.

    References
    ----------
    Stevens, Volkmann & Newman (1937), "A scale for the measurement of the psychological magnitude pitch",
    J. Acoust. Soc. Am. 8; the formula: O'Shaughnessy (1987), *Speech communication*, Addison-Wesley.

    Examples
    --------
    >>> mel_filters(257, 8000, bands=4).shape
    (4, 257)
    """
    high = rate / 2 if high is None else high
    if not 0 <= low < high <= rate / 2 or bands < 1:
        raise BadInput(
            f"bands={bands} from low={low} to high={high} Hz at {rate} samples per second.",
            f"Give 0 <= low < high <= {rate / 2:g}.",
        )
    edges = mel_to_hertz(np.linspace(hertz_to_mel(low), hertz_to_mel(high), bands + 2))
    hertz = np.linspace(0, rate / 2, bins)
    rise = (hertz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - hertz) / np.diff(edges)[1:, None]
    filters = np.maximum(0, np.minimum(rise, fall))
    empty = int((filters.sum(axis=1) == 0).sum())
    if empty:
        raise BadInput(
            f"{empty} of {bands} bands lie between two neighbouring frequencies and hold none of them.",
            "Give fewer bands, or a longer window.",
        )
    return np.asarray(filters)


def mel_spectrogram(
    waves: Split | np.ndarray,
    rate: int = RATE,
    *,
    bands: int = BANDS,
    window: int = WINDOW,
    hop: int = HOP,
    low: float = LOW,
    high: float | None = None,
    floor: float = FLOOR,
) -> np.ndarray:
    r"""Return how loud each band of pitch is in each frame, in decibels below the sound's loudest spot.

    .. math:: L_{b,k} = \max\Bigl(\text{floor},\; 10 \log_{10}
              \frac{\sum_f H_b(f)\, P_{f,k}}{\max_{b,k} \sum_f H_b(f)\, P_{f,k}}\Bigr)

    with `power_spectrogram` P and `mel_filters` H. A louder copy of a sound has the same spectrogram. A
    filter in its way (a microphone, a telephone) multiplies P, and so adds the same number of decibels to
    every frame of a band.

    Parameters
    ----------
    waves : Split or numpy.ndarray
        ``(n, samples)``, or one sound ``(samples,)``.
    rate : int
        Samples per second.
    bands, window, hop, low, high
        As in `mel_filters` and `power_spectrogram`.
    floor : float
        Decibels, below 0.

    Returns
    -------
    numpy.ndarray
        ``(n, bands, frames)`` float32, `floor` to 0; silence is `floor` everywhere. Low bands come first.

    Raises
    ------
    BadInput
        As `power_spectrogram` and `mel_filters`, and for a floor that is not negative.

    Examples
    --------
    >>> t = np.arange(8000) / 8000
    >>> loud = mel_spectrogram(np.sin(2 * np.pi * 1000 * t)).max(axis=(0, 2))
    >>> edges = mel_to_hertz(np.linspace(hertz_to_mel(60), hertz_to_mel(4000), 66))
    >>> band = int(loud.argmax())
    >>> bool(edges[band] < 1000 < edges[band + 2])
    True
    """
    if not floor < 0:
        raise BadInput(f"floor={floor}.", "Give decibels below zero, for instance -50.")
    x = checked_waves(waves)
    filters = mel_filters(window + 1, rate, bands=bands, low=low, high=high).astype(np.float32)
    parts = [np.empty((0, bands, -(-x.shape[1] // hop)), np.float32)]
    for first in range(0, len(x), _AT_ONCE):
        power = filters @ power_spectrogram(x[first : first + _AT_ONCE], window=window, hop=hop)
        loudest = power.max(axis=(1, 2), keepdims=True)
        relative = power / np.where(loudest > 0, loudest, 1)
        parts.append(np.maximum(10 * np.log10(relative + _NOTHING), floor).astype(np.float32))
    return np.concatenate(parts)


def cepstrum(decibels: np.ndarray, coefficients: int = 13) -> np.ndarray:
    r"""Return mel-frequency cepstral coefficients (MFCC): the outline of each frame's spectrum.

    The orthonormal cosine transform of the bands, cut off after the first few:
    :math:`c_{q,k} = s_q \sum_b L_{b,k} \cos\bigl(\pi q (b + \tfrac12) / B\bigr)`. Low q draw the outline,
    which the mouth shapes; high q the ripple of the harmonics, which is the voice's pitch.

    Parameters
    ----------
    decibels : numpy.ndarray
        ``(n, bands, frames)``, as `mel_spectrogram` gives.
    coefficients : int

    Returns
    -------
    numpy.ndarray
        ``(n, coefficients, frames)``.

    References
    ----------
    Davis & Mermelstein (1980), "Comparison of parametric representations for monosyllabic word recognition in
    continuously spoken sentences", IEEE Trans. ASSP 28.
    """
    from scipy.fft import dct

    bands = decibels.shape[1]
    if not 1 <= coefficients <= bands:
        raise BadInput(f"coefficients={coefficients} of {bands} bands.", f"Give 1 to {bands}; 13 is usual.")
    return np.asarray(dct(decibels, axis=1, norm="ortho")[:, :coefficients])


def checked_waves(waves: Split | np.ndarray) -> np.ndarray:
    """Return sounds ``(n, samples)`` float32; raise `BadInput` for anything else."""
    x = waves.x if isinstance(waves, Split) else np.asarray(waves)
    if x.ndim == 1 and x.dtype.kind == "f":
        x = x[None]
    if x.ndim != 2 or x.dtype.kind != "f" or x.shape[1] == 0:
        raise BadInput(
            f"Sounds of shape {x.shape} and type {x.dtype}; expected (n, samples) floating point.",
            "Give waveforms from -1 to 1, all of one length: tasks.read_wav, then tasks.one_second.",
        )
    bad = np.flatnonzero(~np.isfinite(x).all(axis=1))
    if len(bad):
        raise BadInput(
            f"{len(bad):,} of {len(x):,} sounds hold NaN or infinity, the first in row {bad[0]}.",
            "Leave them out, or record again.",
        )
    return x.astype(np.float32, copy=False)
