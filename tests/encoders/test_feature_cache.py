"""Features on disk: found again, never believed when damaged, and shared between processes."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from course_lib import encoders
from course_lib.encoders.cache import FeatureCache, fingerprints


def rows(n: int, seed: int = 0) -> tuple[list[bytes], np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.bytes(16) for _ in range(n)], rng.normal(size=(n, 5)).astype(np.float32)


@pytest.fixture
def cache(tmp_path) -> FeatureCache:
    return FeatureCache("net", 5, tmp_path / "rows")


def shard_of(cache: FeatureCache) -> Path:
    (path,) = cache.folder.glob("*.features")
    return path


def test_what_was_saved_is_found_in_any_order(cache) -> None:
    ids, values = rows(10)
    cache.save(ids, values, 0.25)
    fresh = FeatureCache("net", 5, cache.folder)
    assert fresh.find(ids).all()
    assert not fresh.find(rows(3, seed=1)[0]).any()
    assert np.array_equal(fresh.gather(ids[::-2]), values[::-2])
    assert fresh.seconds_each(ids) == 0.25


@pytest.mark.parametrize("place", [0, 40, 100, -1])
def test_one_flipped_bit_is_noticed(cache, place) -> None:
    ids, values = rows(10)
    cache.save(ids, values, 1.0)
    path = shard_of(cache)
    raw = bytearray(path.read_bytes())
    raw[place] ^= 1
    path.write_bytes(raw)
    assert not cache.find(ids).any()
    assert not path.exists()


@pytest.mark.parametrize("length", [0, 10, 60, 300])
def test_a_truncated_shard_is_noticed(cache, length) -> None:
    ids, values = rows(10)
    cache.save(ids, values, 1.0)
    path = shard_of(cache)
    path.write_bytes(path.read_bytes()[:length])
    assert not FeatureCache("net", 5, cache.folder).find(ids).any()


def test_a_shard_damaged_after_it_was_read_is_read_anew(cache) -> None:
    ids, values = rows(10)
    cache.save(ids, values, 1.0)
    assert cache.find(ids).all()
    path = shard_of(cache)
    path.write_bytes(path.read_bytes()[:-1])
    assert not cache.find(ids).any()


def test_leftovers_of_a_killed_writer_are_ignored(cache) -> None:
    ids, values = rows(4)
    cache.save(ids, values, 1.0)
    (cache.folder / ".abc.part").write_bytes(b"half")
    assert cache.find(ids).all()


def test_a_full_disk_costs_a_warning_and_nothing_else(monkeypatch) -> None:
    x = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    expected = encoders.imagenet(64).encode(x, cache=False)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    encoder = encoders.imagenet(64)
    with pytest.warns(RuntimeWarning, match="No space left") as told:
        assert np.array_equal(encoder.encode(x), expected)
        assert np.array_equal(encoder.encode(x), expected)
    assert len(told) == 1
    assert not list(Path(os.environ["COURSE_CACHE"]).rglob("*.part"))


def test_a_cache_that_cannot_be_written(monkeypatch, tmp_path) -> None:
    blocked = tmp_path / "a file"
    blocked.write_text("in the way")
    monkeypatch.setenv("COURSE_CACHE", str(blocked))
    x = np.zeros((2, 32, 32, 3), np.uint8)
    encoder = encoders.imagenet(64)
    with pytest.warns(RuntimeWarning, match="COURSE_CACHE"):
        assert encoder.encode(x).shape == (2, 1280)


def test_subsets_and_other_encoders(own_cache) -> None:
    x = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
    encoder = encoders.imagenet(64)
    encoder.encode(x[:8])
    features = encoder.encode(x)
    assert encoder.last.computed == 4
    assert np.array_equal(encoders.imagenet(64).encode(x[3:6]), features[3:6])
    other = encoders.imagenet(72)
    other.encode(x[:2])
    assert other.last.computed == 2
    keys = {encoders.imagenet(64, **how).key for how in ({}, {"flip": True}, {"layers": "several"})}
    assert len(keys) == 3


def test_a_damaged_shard_is_computed_again(own_cache) -> None:
    x = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    first = encoders.imagenet(64).encode(x)
    (path,) = own_cache.rglob("*.features")
    raw = bytearray(path.read_bytes())
    raw[-3] ^= 0xFF
    path.write_bytes(raw)
    encoder = encoders.imagenet(64)
    assert np.array_equal(encoder.encode(x), first)
    assert encoder.last.computed == 6


def test_shape_and_type_belong_to_a_picture() -> None:
    flat = np.arange(64, dtype=np.uint8)
    names = {fingerprints(flat.reshape(1, *shape))[0] for shape in ((8, 8, 1), (4, 16, 1), (16, 4, 1))}
    assert len(names) == 3


WRITER = """
import sys, numpy as np
from pathlib import Path
from course_lib.encoders.cache import FeatureCache
cache = FeatureCache("net", 500, Path(sys.argv[1]))
rng = np.random.default_rng(int(sys.argv[2]))
for k in range(int(sys.argv[3])):
    ids = [f"{k:08d}{j:08d}".encode() for j in range(200)]
    cache.save(ids, np.full((200, 500), k, np.float32), 0.1)
    print(k, flush=True)
"""


def test_two_processes_write_at_the_same_time(tmp_path) -> None:
    folder = tmp_path / "rows"
    jobs = [subprocess.Popen([sys.executable, "-c", WRITER, folder, str(s), "20"]) for s in (0, 1)]
    assert [job.wait(60) for job in jobs] == [0, 0]
    cache = FeatureCache("net", 500, folder)
    ids = [f"{k:08d}{j:08d}".encode() for k in range(20) for j in range(200)]
    assert cache.find(ids).all()
    assert np.array_equal(cache.gather(ids)[:, 0], np.repeat(np.arange(20, dtype=np.float32), 200))


def test_a_writer_killed_at_any_moment_leaves_whole_shards(tmp_path) -> None:
    for delay in (0.0, 0.013, 0.031):
        folder = tmp_path / f"rows{delay}"
        command = [sys.executable, "-c", WRITER, folder, "0", "100000"]
        job = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert job.stdout is not None
        written = int(job.stdout.readline())
        time.sleep(delay)
        job.send_signal(signal.SIGKILL)
        last = [int(line) for line in job.stdout if line.endswith("\n")]
        job.wait()
        written = max([written, *last])
        cache = FeatureCache("net", 500, folder)
        whole = list(folder.glob("*.features"))
        found = [k for k in range(written + 2) if cache.find([f"{k:08d}{0:08d}".encode()])[0]]
        assert found[: written + 1] == list(range(written + 1))
        assert len(list(folder.glob("*.features"))) == len(whole) == len(found)
