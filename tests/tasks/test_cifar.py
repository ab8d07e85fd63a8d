"""CIFAR in each of its forms, whole and damaged; the real one where it is at hand."""

from __future__ import annotations

import dataclasses
import io
import os
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from course_lib import tasks
from course_lib.errors import BadInput, Corrupt, DataUnavailable
from course_lib.tasks import store

CLASSES = [f"class{k}" for k in range(10)]


def batch(n: int, seed: int) -> dict[bytes, object]:
    rng = np.random.default_rng(seed)
    labels = [k % 10 for k in range(n)]
    return {b"data": rng.integers(0, 256, (n, 3072), dtype=np.uint8), b"labels": labels}


def official(folder: Path) -> Path:
    """Write the unpacked official form: 5 × 40 training and 30 test pictures."""
    inner = folder / "cifar-10-batches-py"
    inner.mkdir(parents=True)
    for k in range(1, 6):
        (inner / f"data_batch_{k}").write_bytes(pickle.dumps(batch(40, k), protocol=2))
    (inner / "test_batch").write_bytes(pickle.dumps(batch(30, 9), protocol=2))
    names = {b"label_names": [name.encode() for name in CLASSES]}
    (inner / "batches.meta").write_bytes(pickle.dumps(names, protocol=2))
    return inner


@pytest.fixture
def archive(tmp_path, monkeypatch) -> Path:
    inner = official(tmp_path / "made")
    path = tmp_path / "data" / "cifar-10-python.tar.gz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as made:
        made.add(inner, inner.name)
    entry = dataclasses.replace(
        store.MANIFEST["cifar10"], sha256=store.sha256_of(path), bytes=path.stat().st_size
    )
    monkeypatch.setitem(store.MANIFEST, "cifar10", entry)
    return path


def jpeg(value: int, form: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((32, 32, 3), value, np.uint8)).save(stream, form)
    return stream.getvalue()


def class_folders(root: Path) -> Path:
    for split, n in (("train", 10), ("test", 3)):
        for k, name in enumerate(CLASSES):
            folder = root / "cifar10" / split / name
            folder.mkdir(parents=True)
            for i in range(n):
                (folder / f"{i:04d}.png").write_bytes(jpeg(10 * k + i))
    return root / "cifar10"


def check(task: tasks.Task, note: str) -> None:
    assert note in task.note
    assert task.class_names == tuple(CLASSES)
    assert task.train.x.shape[1:] == (32, 32, 3)
    assert task.train.x.dtype == np.uint8
    ids = np.concatenate([s.ids for s in (task.train, task.validation, task.test)])
    assert len(set(ids.tolist())) == len(ids)


def test_the_official_archive(archive, monkeypatch) -> None:
    monkeypatch.setenv("COURSE_DATA", str(archive.parent))
    task = tasks.cifar10()
    check(task, "official archive")
    assert (len(task.train), len(task.validation), len(task.test)) == (180, 20, 30)
    # channels last, red first: the third row of the test set as it was made
    made = batch(30, 9)[b"data"][2].reshape(3, 32, 32).transpose(1, 2, 0)
    assert np.array_equal(task.test.x[2], made)
    assert task.test.y.tolist() == batch(30, 9)[b"labels"]


def test_unpacked_in_keras_cache(tmp_path) -> None:
    official(tmp_path / "keras" / "datasets" / "cifar-10-batches-py-target")
    assert tasks.available("cifar10")
    check(tasks.cifar10(train=50), "unpacked")


def test_class_folders_and_their_zip(tmp_path, monkeypatch) -> None:
    folder = class_folders(tmp_path / "data")
    task = tasks.cifar10(source=folder)
    check(task, "class folders")
    assert np.array_equal(np.unique(task.train.x[task.train.y == 3]) // 10, [3] * 9) or set(
        np.unique(task.train.x[task.train.y == 3])
    ) <= set(range(30, 40))
    path = tmp_path / "zipped" / "cifar10.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as made:
        for file in sorted(folder.rglob("*.png")):
            made.write(file, file.relative_to(folder.parent))
    monkeypatch.setenv("COURSE_DATA", str(path.parent))
    zipped = tasks.cifar10()
    check(zipped, "zip")
    assert np.array_equal(zipped.test.x, task.test.x)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Corrupt, match="damaged or incomplete"):
        tasks.cifar10()


def test_an_altered_archive_is_refused(archive) -> None:
    raw = bytearray(archive.read_bytes())
    raw[len(raw) // 2] ^= 1
    archive.write_bytes(raw)
    with pytest.raises(Corrupt, match=r"SHA-256 differs(.|\n)*course fetch cifar10"):
        tasks.cifar10(source=archive)


def test_a_truncated_archive_is_not_taken_for_the_data(archive, monkeypatch) -> None:
    archive.write_bytes(archive.read_bytes()[:-100])
    monkeypatch.setenv("COURSE_DATA", str(archive.parent))
    assert not tasks.available("cifar10")
    with pytest.raises(DataUnavailable, match="course fetch cifar10"):
        tasks.cifar10()
    with pytest.raises(Corrupt):
        tasks.cifar10(source=archive)


def test_a_malicious_pickle_is_not_run(tmp_path) -> None:
    inner = official(tmp_path)
    trace = tmp_path / "trace"

    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {trace}",)

    (inner / "data_batch_1").write_bytes(pickle.dumps({b"data": Evil(), b"labels": []}))
    with pytest.raises(Corrupt, match="it was not run"):
        tasks.cifar10(source=inner)
    assert not trace.exists()


@pytest.mark.parametrize("content", [b"", b"not a pickle", pickle.dumps([1, 2])])
def test_what_is_no_cifar_pickle(tmp_path, content) -> None:
    inner = official(tmp_path)
    (inner / "test_batch").write_bytes(content)
    with pytest.raises(Corrupt, match="cannot be read"):
        tasks.cifar10(source=inner)


def test_decoded_arrays_that_are_damaged_are_decoded_again(tmp_path, own_cache) -> None:
    folder = class_folders(tmp_path / "data")
    first = tasks.cifar10(source=folder)
    expected = np.array(first.test.x)
    (path,) = own_cache.glob("decoded/*/test_x.npy")
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 0xFF
    path.write_bytes(raw)
    assert np.array_equal(tasks.cifar10(source=folder).test.x, expected)
    (path.parent / "index.json").write_text("{")
    assert np.array_equal(tasks.cifar10(source=folder).test.x, expected)


def test_a_changed_source_is_decoded_anew(tmp_path) -> None:
    folder = class_folders(tmp_path / "data")
    tasks.cifar10(source=folder)
    (folder / "test" / "class0" / "0000.png").write_bytes(jpeg(255))
    assert (tasks.cifar10(source=folder).test.x == 255).any()


def test_another_data_set_in_its_place(tmp_path) -> None:
    root = tmp_path / "cifar10"
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            (root / split / name).mkdir(parents=True)
            (root / split / name / "a.png").write_bytes(jpeg(0))
    with pytest.raises(BadInput, match="2 classes; cifar10 has 10"):
        tasks.cifar10(source=root)


def test_the_real_one(cifar) -> None:
    task = cifar()
    assert (len(task.train), len(task.validation)) == (45_000, 5_000)
    assert set(task.train.counts.values()) == {4_500}
    assert set(task.validation.counts.values()) == {500}
    assert len(set(task.test.counts.values())) == 1
    assert task.class_names[0] == "airplane"
    small = cifar(train=500)
    assert set(small.train.counts.values()) == {50}
    assert len(small.validation) == 125
    assert len(small.test) == len(task.test)
