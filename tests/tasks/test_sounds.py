"""Spoken digits in each of their forms, synthetic tones, and their domains."""

from __future__ import annotations

import dataclasses
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from course_lib import tasks
from course_lib.errors import BadInput, Corrupt, DataUnavailable
from course_lib.tasks import store
from course_lib.tasks.tones import CLASSES, ROOMS, _room, membrane_ratios, sound

SPEAKERS = ("anna", "boris", "chen")
TAKES = 12


def spoken(digit: int, speaker: int, take: int) -> bytes:
    rng = np.random.default_rng([digit, speaker, take])
    stream = io.BytesIO()
    x = rng.integers(-9_000, 9_000, 3_000 + 1_000 * speaker).astype(np.int16)
    wavfile.write(stream, 8_000, x)
    return stream.getvalue()


def recordings() -> dict[str, bytes]:
    return {
        f"{digit}_{name}_{take}.wav": spoken(digit, s, take)
        for digit in range(10)
        for s, name in enumerate(SPEAKERS)
        for take in range(TAKES)
    }


@pytest.fixture(scope="module")
def made() -> dict[str, bytes]:
    return recordings()


def folder(root: Path, made: dict[str, bytes]) -> Path:
    inner = root / "spoken_digits" / "recordings"
    inner.mkdir(parents=True)
    for name, raw in made.items():
        (inner / name).write_bytes(raw)
    (inner / "readme.txt").write_text("not a sound")
    return inner.parent


def zipped(root: Path, made: dict[str, bytes]) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    path = root / "spoken_digits.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, raw in made.items():
            archive.writestr(f"recordings/{name}", raw)
    return path


def official(root: Path, made: dict[str, bytes], monkeypatch) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    path = root / "free-spoken-digit-dataset-1.0.9.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, raw in made.items():
            member = tarfile.TarInfo(f"free-spoken-digit-dataset-1.0.9/recordings/{name}")
            member.size = len(raw)
            archive.addfile(member, io.BytesIO(raw))
    entry = dataclasses.replace(
        store.MANIFEST["spoken_digits"], sha256=store.sha256_of(path), bytes=path.stat().st_size
    )
    monkeypatch.setitem(store.MANIFEST, "spoken_digits", entry)
    return path


def test_folder_zip_and_archive_give_the_same(tmp_path, made, monkeypatch) -> None:
    one = tasks.spoken_digits(source=folder(tmp_path / "a", made))
    path = zipped(tmp_path / "b", made)
    monkeypatch.setenv("COURSE_DATA", str(path.parent))
    assert tasks.available("spoken_digits")
    two = tasks.load("spoken_digits")
    three = tasks.spoken_digits(source=official(tmp_path / "c", made, monkeypatch))
    assert ("folder" in one.note, "zip" in two.note, "official archive" in three.note) == (True,) * 3
    for task in (two, three):
        for part in ("train", "validation", "test"):
            for what in ("x", "y", "ids", "groups"):
                np.testing.assert_array_equal(
                    getattr(getattr(task, part), what), getattr(getattr(one, part), what)
                )


def test_sounds_speakers_and_takes_are_the_files_own(tmp_path, made) -> None:
    task = tasks.spoken_digits(source=folder(tmp_path, made))
    assert (len(task.train), len(task.validation), len(task.test)) == (60, 150, 150)
    assert task.train.x.shape[1:] == (8_000,)
    assert task.train.x.dtype == np.float32
    row = task.test.ids.tolist().index("7_boris_3")
    assert (task.test.y[row], task.test.groups[row]) == (7, "boris")
    raw = np.frombuffer(made["7_boris_3.wav"][44:], "<i2") / 2**15
    np.testing.assert_array_equal(task.test.x[row, : len(raw)], np.float32(raw))
    assert not task.test.x[row, len(raw) :].any()
    takes = {part: {int(i.split("_")[2]) for i in getattr(task, part).ids} for part in ("train", "test")}
    assert takes == {"train": {10, 11}, "test": set(range(5))}
    more = tasks.spoken_digits(source=tmp_path / "spoken_digits", test_takes=6, speakers=["chen"])
    assert (len(more.train), len(more.test)) == (10, 60)
    assert set(more.test.groups.tolist()) == {"chen"}


def test_damaged_missing_and_unknown(tmp_path, made, monkeypatch) -> None:
    with pytest.raises(DataUnavailable, match="course fetch spoken_digits"):
        tasks.spoken_digits()
    path = zipped(tmp_path / "z", made)
    for wrong, said in (({"speakers": ["dora"]}, "anna, boris, chen"), ({"test_takes": 9}, "test_takes=9")):
        with pytest.raises(BadInput, match=said):
            tasks.spoken_digits(source=path, **wrong)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Corrupt, match="damaged or incomplete"):
        tasks.spoken_digits(source=path)
    archive = official(tmp_path / "t", made, monkeypatch)
    raw = bytearray(archive.read_bytes())
    raw[len(raw) // 2] ^= 1
    archive.write_bytes(raw)
    with pytest.raises(Corrupt, match="SHA-256 differs"):
        tasks.spoken_digits(source=archive)
    inner = folder(tmp_path / "f", {"0_anna_0.wav": b"RIFF" + bytes(60)})
    with pytest.raises(BadInput, match=r"0_anna_0\.wav"):
        tasks.spoken_digits(source=inner)
    (inner / "recordings" / "0_anna_0.wav").unlink()
    with pytest.raises(BadInput, match="holds no recordings"):
        tasks.spoken_digits(source=inner)
    with pytest.raises(BadInput, match="holds nothing that reads as spoken_digits"):
        tasks.spoken_digits(source=tmp_path)


def check_domains(task: tasks.Task) -> None:
    names = sorted(set(task.test.groups.tolist()))
    alone = tasks.by_domain(task)
    assert list(alone) == names
    assert sum(len(one.test) for one in alone.values()) == len(task.test)
    for name in names:
        source, target = tasks.leave_one_domain_out(task, name)
        heard = {part: set(getattr(source, part).groups.tolist()) for part in ("train", "validation", "test")}
        assert all(name not in found for found in heard.values())
        for part in ("train", "validation", "test"):
            assert set(getattr(target, part).groups.tolist()) == {name}
            both = set(getattr(source, part).ids.tolist()) | set(getattr(target, part).ids.tolist())
            assert both == set(getattr(task, part).ids.tolist())
            np.testing.assert_array_equal(getattr(target, part).x, getattr(alone[name], part).x)
    with pytest.raises(BadInput, match=names[0]):
        tasks.leave_one_domain_out(task, "nobody")


def test_a_domain_that_is_left_out_is_nowhere_in_the_source(tmp_path, made) -> None:
    check_domains(tasks.spoken_digits(source=folder(tmp_path, made)))
    check_domains(tasks.tones(takes=3, rooms=["studio", "tape", "telephone"]))
    with pytest.raises(BadInput, match="does not say which domain"):
        tasks.by_domain(tasks.digits())
    with pytest.raises(BadInput, match="1 domain"):
        tasks.by_domain(tasks.tones(takes=3, rooms=["studio"]))


def test_groups_follow_their_rows() -> None:
    split = tasks.tones(takes=5, rooms=["studio", "tape"]).train
    assert split.sample(20).groups.tolist() == [i.split("/")[0] for i in split.sample(20).ids]
    with pytest.raises(ValueError, match="read-only"):
        split.groups[0] = "x"
    with pytest.raises(BadInput, match="31 groups"):
        dataclasses.replace(split, groups=split.groups[1:])
    assert tasks.digits().train.take(np.arange(3)).groups is None


def test_tones_repeat_bit_for_bit_and_more_takes_keep_those_there(monkeypatch, tmp_path) -> None:
    few = tasks.tones(takes=5, rooms=["tape", "hall"])
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "another"))
    _room.cache_clear()
    again = tasks.tones(takes=5, rooms=["tape", "hall"])
    np.testing.assert_array_equal(few.train.x, again.train.x)
    assert set(few.train.groups.tolist()) == {"tape", "hall"}
    more = tasks.tones(takes=6, rooms=["hall", "tape"])
    sounds = dict(zip(more.train.ids.tolist(), more.train.x, strict=True))
    sounds |= dict(zip(more.validation.ids.tolist(), more.validation.x, strict=True))
    sounds |= dict(zip(more.test.ids.tolist(), more.test.x, strict=True))
    for i, x in zip(few.train.ids.tolist(), few.train.x, strict=True):
        np.testing.assert_array_equal(sounds[i], x)
    other = tasks.tones(takes=5, rooms=["tape"], seed=1)
    assert not np.array_equal(other.train.x, few.train.x[few.train.groups == "tape"])
    low = tasks.tones(takes=6, rooms=["hall", "tape"], ask="pitch")
    assert low.class_names == ("150 to 212 Hz", "212 to 300 Hz", "300 to 424 Hz", "424 to 600 Hz")
    assert not [i for i in low.train.ids.tolist() if "membrane" in i]
    for i, x in zip(low.train.ids.tolist(), low.train.x, strict=True):
        np.testing.assert_array_equal(sounds[i], x)


def test_pitch_is_what_an_ear_would_say() -> None:
    task = tasks.tones(takes=8, rooms=["studio"], ask="pitch").train
    blown = task.take(np.char.find(task.ids, "pipe, closed") >= 0)
    for x, y in zip(blown.x, blown.y, strict=True):
        first = peaks(x)[0]
        assert 150 * 2 ** (y / 2) - 2 <= first <= 150 * 2 ** ((y + 1) / 2) + 2


def test_every_instrument_in_every_room_is_a_sound() -> None:
    for name in CLASSES:
        for room in ROOMS:
            x, pitch = sound(name, room, np.random.default_rng(1))
            assert 80 <= pitch <= 600
            assert x.shape == (8_000,)
            assert np.isfinite(x).all()
            assert 0.1 < np.abs(x).max() <= 0.71
    for wrong in ({"rooms": ["cellar"]}, {"rooms": []}, {"takes": 2}, {"ask": "mood"}):
        with pytest.raises(BadInput):
            tasks.tones(**wrong)


def peaks(x: np.ndarray) -> np.ndarray:
    """Return the frequencies of the strongest partials, in Hertz, from a spectrum of one second."""
    power = np.abs(np.fft.rfft(x * np.hanning(len(x)))) ** 2
    higher = (power[1:-1] > power[:-2]) & (power[1:-1] > power[2:]) & (power[1:-1] > 1e-4 * power.max())
    return np.flatnonzero(higher) + 1


def test_partials_lie_where_physics_has_them() -> None:
    rng = np.random.default_rng(3)
    models = dict(CLASSES)
    bar = peaks(models["bar, free"](300.0, 8_000, rng))
    for ratio in (1.0, 2.756, 5.404):
        assert np.abs(bar - 300 * ratio).min() <= 2
    closed = peaks(models["pipe, closed"](200.0, 8_000, rng))
    strong = [200, 600, 1_000]
    assert all(np.abs(closed - f).min() <= 1 for f in strong)
    assert np.abs(closed - 400).min() > 20  # no even harmonic
    string = models["string, plucked"](400.0, 8_000, rng)
    period = 20  # of the delay line, plus half a sample for the average of two neighbours
    found = peaks(string)
    assert np.abs(found - 8_000 / (period + 0.5)).min() <= 6
    # The ideal membrane: published zeros of J0, J1, J2 over that of J0.
    np.testing.assert_allclose(
        membrane_ratios(4), np.array([2.4048, 3.8317, 5.1356, 5.5201]) / 2.4048, rtol=1e-4
    )


def test_the_real_ones(spoken_digits) -> None:
    task = spoken_digits()
    speakers = set(task.train.groups.tolist())
    assert len(speakers) >= 3
    assert set(task.train.counts.values()) == {40 * len(speakers)}
    assert set(task.test.counts.values()) == set(task.validation.counts.values()) == {5 * len(speakers)}
    assert set(task.test.groups.tolist()) == speakers
    assert 0.01 < np.abs(task.test.x).max() <= 1
    check_domains(task)
    assert len(spoken_digits(train=100).train) == 100
