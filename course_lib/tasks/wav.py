"""WAV files, read without trusting them: any width, any rate, any number of channels."""

from __future__ import annotations

import struct
import warnings
from dataclasses import dataclass
from fractions import Fraction
from os import PathLike
from pathlib import Path

import numpy as np

from course_lib.callers import stack_level
from course_lib.errors import BadInput

RATE = 8000
"""Samples per second of every sound of the course."""

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_CODECS = {2: "ADPCM", 6: "A-law", 7: "µ-law", 17: "IMA ADPCM", 85: "MP3", 255: "AAC"}
_STREAMED = 0xFFFFFFFF  # the size that a recorder leaves in a file which it could not go back to
_HIGHEST = 1_000_000  # samples per second: nothing that hears goes beyond
_MENDED = "Convert it, for instance: ffmpeg -i IN -ar 8000 -ac 1 -c:a pcm_s16le OUT.wav"


def read_wav(
    source: str | PathLike[str] | bytes, rate: int = RATE, *, resample: bool = True, silent: bool = False
) -> np.ndarray:
    """Return a WAV file's sound as one channel at `rate` samples per second.

    PCM of 8, 16, 24 or 32 bits and floating point of 32 or 64 bits are read. Whole numbers are divided by
    their largest magnitude (16 bits: 32,768), floating point is taken as it is.

    Parameters
    ----------
    source : path or bytes
        A file, or its content.
    rate : int
        Samples per second of the result. A file of another rate is resampled by a polyphase filter, which
        takes away what lies above half of the lower of the two rates first: leaving samples out would fold
        those frequencies down into the ones that are kept (aliasing). A file of a lower rate is
        brought up with a warning, since the frequencies that it never held cannot come back.
    resample : bool
        False refuses another rate instead.
    silent : bool
        True lets a file through whose samples are all equal.

    Returns
    -------
    numpy.ndarray
        ``(samples,)`` float32. The channels of a stereo file are averaged, with a warning.

    Raises
    ------
    BadInput
        When the file is missing or no WAV, is cut off, is encoded (MP3, A-law, …), holds no samples, NaN, or
        silence, or has another rate and `resample` is False.

    Examples
    --------
    >>> head = b"RIFF" + (40).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
    >>> head += struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16) + b"data" + (4).to_bytes(4, "little")
    >>> read_wav(head + struct.pack("<hh", 16384, -32768))
    array([ 0.5, -1. ], dtype=float32)
    """
    if not 1 <= rate <= _HIGHEST:
        raise BadInput(f"rate={rate}.", "Give samples per second, for instance 8000.")
    what, raw = _bytes(source)
    layout, body = _chunks(raw, what)
    x = _samples(layout, body, what)
    if not len(x):
        raise BadInput(f"{what} holds no samples: a sound of zero length.", "Leave it out, or record again.")
    if not np.isfinite(x).all():
        raise BadInput(f"{what} holds NaN or infinite samples.", "Export it again as 16-bit PCM.")
    if layout.channels > 1:
        warnings.warn(
            f"{what} has {layout.channels} channels; they are averaged.",
            UserWarning,
            stacklevel=stack_level(),
        )
    mono = x.mean(axis=1)
    if not silent and np.ptp(mono) == 0:
        raise BadInput(
            f"{what} is silent: all {len(mono):,} samples equal {mono[0]:g}.",
            "Leave it out, or give silent=True.",
        )
    return _at_rate(mono, layout.rate, rate, resample, what).astype(np.float32)


@dataclass(frozen=True)
class _Layout:
    kind: int
    channels: int
    rate: int
    bits: int


def _bytes(source: str | PathLike[str] | bytes) -> tuple[str, bytes]:
    """Return a name for messages, and the file's content."""
    if isinstance(source, bytes | bytearray | memoryview):
        return "The sound", bytes(source)
    path = Path(source)
    try:
        return str(path), path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.", "Name a WAV file.") from error


def _chunks(raw: bytes, what: str) -> tuple[_Layout, bytes]:
    """Return the layout and the samples' bytes; other chunks (titles, markers) are passed over."""
    if raw[:4] != b"RIFF" or raw[8:12] != b"WAVE":
        known = {b"fLaC": "FLAC", b"OggS": "Ogg", b"ID3": "MP3", b"FORM": "AIFF", b"RIFX": "big-endian WAV"}
        kind = next((name for mark, name in known.items() if raw.startswith(mark)), "")
        begins = f"it is {kind}" if kind else f"it begins with {raw[:12]!r}"
        raise BadInput(f"{what} is no WAV file: {begins}.", _MENDED)
    layout: _Layout | None = None
    place = 12
    while place + 8 <= len(raw):
        name, size = raw[place : place + 4], int.from_bytes(raw[place + 4 : place + 8], "little")
        body = raw[place + 8 : place + 8 + size]
        if name == b"data":
            if layout is None:
                raise BadInput(f"{what} has samples before the header that describes them.", _MENDED)
            if len(body) < size and size != _STREAMED:
                raise BadInput(
                    f"{what} is cut off: its header promises {size:,} bytes of sound, {len(body):,} came.",
                    "Copy or download it again.",
                )
            return layout, body
        if name == b"fmt ":
            layout = _layout(body, what)
        place += 8 + size + size % 2
    raise BadInput(
        f"{what} is cut off: {len(raw):,} bytes, and no sound among them.", "Copy or download it again."
    )


def _layout(body: bytes, what: str) -> _Layout:
    if len(body) < 16:
        raise BadInput(f"{what} is cut off within its header.", "Copy or download it again.")
    kind, channels, rate, _, _, bits = struct.unpack("<HHIIHH", body[:16])
    if kind == _EXTENSIBLE and len(body) >= 26:
        kind = int.from_bytes(body[24:26], "little")
    widths = {_PCM: (8, 16, 24, 32), _FLOAT: (32, 64)}
    if bits not in widths.get(kind, ()):
        encoded = _CODECS.get(kind, f"format {kind}")
        form = f"{bits}-bit {'floating point' if kind == _FLOAT else 'PCM'}" if kind in widths else encoded
        raise BadInput(f"{what} holds {form}, which is not read here.", _MENDED)
    if not channels or not 1 <= rate <= _HIGHEST:
        raise BadInput(f"{what} claims {channels} channels at {rate:,} samples per second.", _MENDED)
    return _Layout(kind, channels, rate, bits)


def _samples(layout: _Layout, body: bytes, what: str) -> np.ndarray:
    """Return ``(samples, channels)`` float64; whole numbers scaled to -1 to 1."""
    frame = layout.channels * layout.bits // 8
    body = body[: len(body) // frame * frame]
    if layout.kind == _FLOAT:
        return np.frombuffer(body, f"<f{layout.bits // 8}").reshape(-1, layout.channels).astype(np.float64)
    if layout.bits == 8:  # the one width that is unsigned
        x = np.frombuffer(body, np.uint8).astype(np.float64) - 128
    elif layout.bits == 24:
        wide = np.zeros((len(body) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(body, np.uint8).reshape(-1, 3)
        x = (wide.view("<i4")[:, 0] >> 8).astype(np.float64)
    else:
        x = np.frombuffer(body, f"<i{layout.bits // 8}").astype(np.float64)
    return np.asarray(x.reshape(-1, layout.channels) / 2 ** (layout.bits - 1))


def _at_rate(x: np.ndarray, has: int, wanted: int, resample: bool, what: str) -> np.ndarray:
    if has == wanted:
        return x
    if not resample:
        raise BadInput(
            f"{what} has {has:,} samples per second; expected {wanted:,}.",
            "Give resample=True, or convert it beforehand.",
        )
    if has < wanted:
        warnings.warn(
            f"{what} has {has:,} samples per second, brought up to {wanted:,}; above {has // 2:,} Hz there "
            "is nothing to hear.",
            UserWarning,
            stacklevel=stack_level(),
        )
    from scipy.signal import resample_poly

    ratio = Fraction(wanted, has)
    return np.asarray(resample_poly(x, ratio.numerator, ratio.denominator))
