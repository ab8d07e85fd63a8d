"""WAV files against what SciPy and the standard library write, and files that are none."""

from __future__ import annotations

import io
import struct
import warnings
import wave

import numpy as np
import pytest
from scipy.io import wavfile

from course_lib import tasks
from course_lib.errors import BadInput

RATE = 8000


def written(x: np.ndarray, rate: int = RATE) -> bytes:
    stream = io.BytesIO()
    wavfile.write(stream, rate, x)
    return stream.getvalue()


def pcm(raw: bytes, *, width: int, channels: int = 1, rate: int = RATE) -> bytes:
    """Write samples by the standard library."""
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(raw)
    return stream.getvalue()


def chunked(kind: int, bits: int, body: bytes, *, extra: bytes = b"", channels: int = 1) -> bytes:
    """Write the chunks by hand, for layouts that no library writes."""
    form = struct.pack("<HHIIHH", kind, channels, RATE, RATE * bits // 8, bits // 8, bits) + extra
    chunks = b"fmt " + len(form).to_bytes(4, "little") + form
    chunks += b"LIST" + (3).to_bytes(4, "little") + b"odd" + b"\0"  # chunks begin at even places
    chunks += b"data" + len(body).to_bytes(4, "little") + body
    return b"RIFF" + (len(chunks) + 4).to_bytes(4, "little") + b"WAVE" + chunks


def sine(hertz: float, rate: int, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)


WHOLE = np.random.default_rng(0).integers(-(2**31), 2**31 - 1, 500)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (written((WHOLE >> 16).astype(np.int16)), (WHOLE >> 16) / 2**15),
        (written(WHOLE.astype(np.int32)), WHOLE / 2**31),
        (written(((WHOLE >> 24) + 128).astype(np.uint8)), (WHOLE >> 24) / 2**7),
        (written((WHOLE / 2**31).astype(np.float32)), WHOLE / 2**31),
        (written(WHOLE / 2**31), WHOLE / 2**31),
        (pcm((WHOLE >> 8 << 8).astype("<i4").view(np.uint8).reshape(-1, 4)[:, 1:].tobytes(), width=3), None),
    ],
    ids=["16 bits", "32 bits", "8 bits", "float", "double", "24 bits"],
)
def test_every_width_is_read_to_its_last_bit(made, expected) -> None:
    expected = (WHOLE >> 8) / 2**23 if expected is None else expected
    found = tasks.read_wav(made)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.float32(expected))


def test_a_path_other_chunks_and_the_extensible_layout(tmp_path) -> None:
    body = (WHOLE >> 16).astype("<i2")
    path = tmp_path / "a.wav"
    path.write_bytes(chunked(1, 16, body.tobytes()))
    expected = np.float32(body / 2**15)
    np.testing.assert_array_equal(tasks.read_wav(path), expected)
    guid = b"\x01\x00\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"
    extended = chunked(0xFFFE, 16, body.tobytes(), extra=struct.pack("<HHI", 22, 16, 0) + guid)
    np.testing.assert_array_equal(tasks.read_wav(extended), expected)


def test_stereo_is_averaged_with_a_warning_that_names_the_readers_line() -> None:
    left, right = sine(440, RATE), sine(880, RATE)
    made = written(np.stack([left, right], axis=1).astype(np.float32))
    with pytest.warns(UserWarning, match="2 channels; they are averaged") as told:
        found = tasks.read_wav(made)
    np.testing.assert_allclose(found, (left + right) / 2, atol=1e-6)
    assert told[0].filename == __file__


def test_another_rate_is_resampled_without_aliasing() -> None:
    kept, folded = sine(500, 44_100), sine(7_500, 44_100)  # 7,500 Hz would come back as 500 Hz
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        low = tasks.read_wav(written(kept.astype(np.float32), 44_100))
        high = tasks.read_wav(written(folded.astype(np.float32), 44_100))
    assert len(low) == RATE
    inner = slice(200, -200)
    np.testing.assert_allclose(low[inner], sine(500, RATE)[inner], atol=5e-3)
    assert np.abs(high[inner]).max() < 5e-3
    left_out = folded[np.round(np.arange(RATE) * 44_100 / RATE).astype(int)]
    assert np.abs(left_out).max() > 0.9  # what leaving samples out would have given


def test_a_lower_rate_is_brought_up_with_a_warning_or_refused() -> None:
    made = written(sine(500, 4_000).astype(np.float32), 4_000)
    with pytest.warns(UserWarning, match="above 2,000 Hz there is nothing to hear"):
        found = tasks.read_wav(made)
    np.testing.assert_allclose(found[200:-200], sine(500, RATE)[200:-200], atol=5e-3)
    with pytest.raises(BadInput, match="4,000 samples per second; expected 8,000"):
        tasks.read_wav(made, resample=False)


SOUND = written((WHOLE >> 16).astype(np.int16))


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (b"", "no WAV file"),
        (b"ID3\x04" + bytes(40), "it is MP3"),
        (b"fLaC" + bytes(40), "it is FLAC"),
        (SOUND[:8], "no WAV file"),
        (SOUND[:30], "cut off"),
        (SOUND[:44], "header promises 1,000 bytes"),
        (SOUND[:-10], "990 came"),
        (SOUND[:12] + SOUND[36:], "before the header"),
        (pcm(b"", width=2), "zero length"),
        (written(np.zeros(100, np.int16)), "silent: all 100 samples equal 0"),
        (written(np.full(100, 77, np.int16)), "silent"),
        (written(np.array([0.1, np.nan], np.float32)), "NaN"),
        (chunked(7, 8, bytes(range(100))), "µ-law"),
        (chunked(85, 16, bytes(100)), "MP3"),
        (chunked(1, 12, bytes(100)), "12-bit PCM"),
        (chunked(1, 16, bytes(100), channels=0), "0 channels"),
    ],
)
def test_bad_input_is_told_in_words(made, said) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        tasks.read_wav(made)
    assert caught.value.remedy


def test_missing_files_wrong_rates_and_silence_that_is_wanted(tmp_path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        tasks.read_wav(tmp_path / "none.wav")
    with pytest.raises(BadInput, match="rate=0"):
        tasks.read_wav(SOUND, rate=0)
    assert tasks.read_wav(written(np.zeros(9, np.int16)), silent=True).tolist() == [0.0] * 9


def test_one_second_cuts_and_fills_up() -> None:
    assert tasks.one_second(np.ones(3)).shape == (RATE,)
    long = np.arange(2 * RATE, dtype=np.float32)
    np.testing.assert_array_equal(tasks.one_second(long), long[:RATE])
