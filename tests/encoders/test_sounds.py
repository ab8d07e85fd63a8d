"""Spectrograms against slow sums and closed forms; encoders of sounds."""

from __future__ import annotations

import numpy as np
import pytest

from course_lib import encoders, tasks
from course_lib.encoders.sounds import pictures_of
from course_lib.errors import BadInput

RATE = 8000


def sine(hertz: float, seconds: float = 1.0, phase: float = 0.0) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(int(RATE * seconds)) / RATE + phase)


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((3, 1000)) * np.array([[1.0], [0.01], [0.3]])


def slow_power(x: np.ndarray, window: int, hop: int) -> np.ndarray:
    """Sum by the definition, sample by sample."""
    frames = int(np.ceil(len(x) / hop))
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    turns = np.exp(-2j * np.pi * np.outer(np.arange(window + 1), np.arange(window)) / (2 * window))
    out = np.zeros((window + 1, frames))
    for k in range(frames):
        places = k * hop + np.arange(window) - window // 2
        there = np.array([x[p] if 0 <= p < len(x) else 0.0 for p in places])
        out[:, k] = np.abs(turns @ (taper * there)) ** 2
    return out


def slow_mel(x: np.ndarray, bands: int, window: int, hop: int, floor: float) -> np.ndarray:
    """Build each triangle by interpolation between its three corners."""
    power = slow_power(x, window, hop)
    hertz = np.arange(window + 1) * RATE / (2 * window)
    mel = np.linspace(2595 * np.log10(1 + 60 / 700), 2595 * np.log10(1 + 4000 / 700), bands + 2)
    corners = 700 * (10 ** (mel / 2595) - 1)
    rows = [np.interp(hertz, corners[b : b + 3], [0, 1, 0], left=0, right=0) @ power for b in range(bands)]
    loud = np.array(rows)
    return np.maximum(10 * np.log10(np.maximum(loud / loud.max(), 1e-30)), floor)


@pytest.mark.parametrize(("window", "hop"), [(64, 31), (128, 128), (256, 125)])
def test_power_is_the_sum_of_its_definition(noise, window, hop) -> None:
    found = encoders.power_spectrogram(noise, window=window, hop=hop)
    for x, one in zip(noise, found, strict=True):
        expected = slow_power(x, window, hop)
        np.testing.assert_allclose(one, expected, rtol=1e-3, atol=1e-5 * expected.max())


def test_parseval_the_power_of_a_frame_is_that_of_its_samples(noise) -> None:
    window, hop = 128, 50
    power = encoders.power_spectrogram(noise, window=window, hop=hop).astype(np.float64)
    twice = 2 * power.sum(axis=1) - power[:, 0] - power[:, -1]  # frequencies below zero mirror those above
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    padded = np.pad(noise, ((0, 0), (window // 2, window)))
    energy = [
        [np.square(taper * x[k * hop : k * hop + window]).sum() for k in range(power.shape[2])]
        for x in padded
    ]
    np.testing.assert_allclose(twice / (2 * window), energy, rtol=1e-4)


def test_mel_is_the_slow_sum_and_louder_is_the_same(noise) -> None:
    found = encoders.mel_spectrogram(noise, bands=20, window=128, hop=50, floor=-60)
    for x, one in zip(noise, found, strict=True):
        np.testing.assert_allclose(one, slow_mel(x, 20, 128, 50, -60), atol=2e-2)
    np.testing.assert_allclose(
        encoders.mel_spectrogram(7 * noise, bands=20, window=128, hop=50, floor=-60), found, atol=1e-2
    )
    assert found.max() == 0
    assert found.min() >= -60


@pytest.mark.parametrize("hertz", [150.0, 440.0, 1000.0, 2200.0, 3500.0])
def test_a_sine_is_loudest_in_its_own_band(hertz) -> None:
    edges = encoders.mel_to_hertz(np.linspace(encoders.hertz_to_mel(60), encoders.hertz_to_mel(4000), 64 + 2))
    middle = encoders.mel_spectrogram(sine(hertz, phase=1.0))[0, :, 20:40]
    assert (middle.argmax(axis=0) == middle.argmax(axis=0)[0]).all()
    band = int(middle[:, 0].argmax())
    assert edges[band] < hertz < edges[band + 2]
    # a Hann window: two bands away from a pure tone nothing comes near it, where bands are wide enough
    if hertz > 1500:
        assert middle[band + 3].max() < -25


def test_filters_are_triangles_that_sum_to_one_between_their_peaks() -> None:
    filters = encoders.mel_filters(1025, RATE, bands=10)
    hertz = np.linspace(0, RATE / 2, 1025)
    edges = encoders.mel_to_hertz(np.linspace(encoders.hertz_to_mel(60), encoders.hertz_to_mel(4000), 12))
    inside = (hertz >= edges[1]) & (hertz <= edges[-2])
    np.testing.assert_allclose(filters.sum(axis=0)[inside], 1, atol=1e-12)
    assert not filters[:, (hertz <= 60)].any()
    assert float(encoders.hertz_to_mel(1000)) == pytest.approx(1000, abs=0.1)
    np.testing.assert_allclose(encoders.mel_to_hertz(encoders.hertz_to_mel(hertz)), hertz, atol=1e-9)


def test_a_microphone_adds_the_same_to_every_frame_of_a_band() -> None:
    from scipy.signal import lfilter

    x = np.random.default_rng(1).standard_normal(RATE)
    loud = np.array(
        [
            10
            * np.log10(encoders.mel_filters(257, RATE, bands=24) @ encoders.power_spectrogram(one[None])[0])
            for one in (x, lfilter([1.0, -0.9], [1.0], x))
        ]
    )
    added = (loud[1] - loud[0])[:, 2:-2]
    assert added.mean(axis=1).max() - added.mean(axis=1).min() > 15  # the microphone is dull or bright
    assert added.std(axis=1).max() < 1.5  # the same at every moment


def test_cepstrum_is_a_cosine_transform() -> None:
    x = np.random.default_rng(0).standard_normal((2, 8, 5))
    found = encoders.cepstrum(x, 8)
    b = np.arange(8)
    for q in range(8):
        row = np.cos(np.pi * q * (b + 0.5) / 8) * (np.sqrt(1 / 8) if q == 0 else np.sqrt(2 / 8))
        np.testing.assert_allclose(found[:, q], np.einsum("b,nbk->nk", row, x), atol=1e-12)
    np.testing.assert_allclose(np.square(found).sum(), np.square(x).sum())  # orthonormal


def test_pictures_have_low_tones_below_and_silence_black() -> None:
    low, high = encoders.sound_pictures(np.stack([sine(200.0), sine(3500.0)]))[..., 0]
    assert low.dtype == np.uint8
    assert low[40:].max() == 255
    assert low[:30, 10:-10].max() < 128
    assert high[:20].max() == 255
    assert not encoders.sound_pictures(np.zeros((1, RATE))).any()
    assert pictures_of(np.full((1, 2, 2), -50.0)).max() == 0
    task = tasks.tones(takes=3, rooms=["studio"])
    seen = encoders.sound_pictures(task)
    assert seen.train.x.shape == (8, 64, 64, 1)
    np.testing.assert_array_equal(seen.test.ids, task.test.ids)
    np.testing.assert_array_equal(seen.test.groups, task.test.groups)
    assert task.train.x.dtype == np.float32


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: encoders.mel_spectrogram(np.zeros((2, 3, 4))), "expected"),
        (lambda: encoders.mel_spectrogram(np.zeros((2, 0))), "expected"),
        (lambda: encoders.mel_spectrogram(np.zeros((2, 99), np.int16)), "int16"),
        (lambda: encoders.mel_spectrogram(np.array([[0.0, np.nan]])), "row 0"),
        (lambda: encoders.mel_spectrogram(np.zeros((1, 99)), floor=0), "floor=0"),
        (lambda: encoders.mel_spectrogram(np.zeros((1, 99)), low=5000), "low=5000"),
        (lambda: encoders.mel_spectrogram(np.zeros((1, 99)), bands=200), "hold none"),
        (lambda: encoders.power_spectrogram(np.zeros((1, 99)), hop=0), "hop=0"),
        (lambda: encoders.power_spectrogram(np.zeros((1, 99)), window=7), "window=7"),
        (lambda: encoders.spectrograms(steps=99).encode(np.zeros((1, 800))), "steps=99"),
        (lambda: encoders.cepstra(coefficients=65).encode(np.zeros((1, 800))), "coefficients=65"),
        (lambda: encoders.sounds(layer="ear"), "ear"),
        (lambda: encoders.sounds().encode(tasks.digits().test), "expected"),
    ],
)
def test_bad_input_is_told_in_words(call, said) -> None:
    with pytest.raises(BadInput, match=said):
        call()


def test_baselines_are_what_they_say_and_remember() -> None:
    x = tasks.tones(takes=3, rooms=["studio"]).train
    flat = encoders.spectrograms(bands=32, steps=16)
    z = flat.encode(x)
    decibels = encoders.mel_spectrogram(x, bands=32)
    np.testing.assert_allclose(z.reshape(8, 32, 16), decibels.reshape(8, 32, 16, 4).mean(axis=3), atol=1e-5)
    assert (flat.last.computed, flat.last.examples) == (8, 8)
    np.testing.assert_array_equal(flat.encode(x.x[::-1].copy()), z[::-1])
    assert flat.last.from_cache
    c = encoders.cepstrum(encoders.mel_spectrogram(x))
    both = encoders.cepstra().encode(x)
    np.testing.assert_allclose(both, np.concatenate([c.mean(axis=2), c.std(axis=2)], axis=1), rtol=1e-5)
    assert encoders.cepstra(steps=8).encode(x).shape == (8, encoders.cepstra(steps=8).dim)
    assert flat.encode(x.take(np.arange(0))).shape == (0, 512)


def test_imagenet_hears_what_it_sees() -> None:
    x = tasks.tones(takes=3, rooms=["studio"]).train
    ear = encoders.sounds()
    z = ear.encode(x)
    assert z.shape == (8, ear.dim)
    np.testing.assert_array_equal(z, encoders.by_layer(64)["block10"].encode(encoders.sound_pictures(x).x))
    np.testing.assert_array_equal(ear.encode(x.x), z)
    np.testing.assert_array_equal(ear.pictures(x), encoders.sound_pictures(x.x))
    assert not np.allclose(encoders.sounds(weights="random").encode(x), z)
