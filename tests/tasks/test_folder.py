"""One's own pictures: what is read, and what is said when it cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from course_lib import tasks
from course_lib.errors import BadInput


def paint(path: Path, value: int = 0, size: tuple[int, int] = (20, 10), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode == "L" else (value,) * len(mode)).save(path)


@pytest.fixture
def pets(tmp_path) -> Path:
    for name, value in (("cat", 50), ("dog", 200)):
        for k in range(20):
            paint(tmp_path / "pets" / name / f"{k}.png", value)
    return tmp_path / "pets"


def test_a_folder_per_class(pets) -> None:
    task = tasks.image_folder(pets, size=16)
    assert task.class_names == ("cat", "dog")
    assert (len(task.train), len(task.validation), len(task.test)) == (24, 6, 10)
    assert task.train.x.shape[1:] == (16, 16, 3)
    for split in (task.train, task.validation, task.test):
        assert len(set(split.counts.values())) == 1
        assert ((split.x.mean(axis=(1, 2, 3)) > 100) == split.y).all()
    again, other = tasks.image_folder(pets, size=16), tasks.image_folder(pets, size=16, seed=1)
    assert task.test.ids.tolist() == again.test.ids.tolist()
    assert set(task.test.ids) != set(other.test.ids)
    assert len(tasks.image_folder(pets, size=16, train=4).train) == 4


def test_given_splits_are_kept(pets, tmp_path) -> None:
    root = tmp_path / "split"
    for part in ("train", "val", "test"):
        (root / part).parent.mkdir(exist_ok=True)
        (pets.parent / "copy").mkdir(exist_ok=True)
        for name in ("cat", "dog"):
            for k in range({"train": 5, "val": 2, "test": 3}[part]):
                paint(root / part / name / f"{k}.png")
    task = tasks.image_folder(root, size=8)
    assert (len(task.train), len(task.validation), len(task.test)) == (10, 4, 6)
    for k in range(5):
        paint(root / "train" / "fox" / f"{k}.png")
    with pytest.raises(BadInput, match="same class folders"):
        tasks.image_folder(root, size=8)


def test_modes_and_orientation(pets) -> None:
    paint(pets / "cat" / "grey.png", 70, mode="L")
    paint(pets / "cat" / "alpha.png", 70, mode="RGBA")
    wide = Image.new("RGB", (40, 20))
    wide.paste((255, 255, 255), (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    wide.save(pets / "cat" / "turned.jpg", exif=exif)
    task = tasks.image_folder(pets, size=20)
    rows = {
        name: x for s in (task.train, task.validation, task.test) for name, x in zip(s.ids, s.x, strict=True)
    }
    turned = next(x for name, x in rows.items() if name.endswith("turned.jpg"))
    assert turned[:, -1].mean() > 200 > 50 > turned[:, 0].mean()


def test_files_that_are_not_pictures(pets) -> None:
    (pets / "dog" / "notes.txt").write_text("hello")
    with pytest.raises(BadInput, match=r"notes\.txt is not a picture(.|\n)*skip_bad=True"):
        tasks.image_folder(pets, size=8)
    task = tasks.image_folder(pets, size=8, skip_bad=True)
    assert sum(len(s) for s in (task.train, task.validation, task.test)) == 40
    whole = (pets / "dog" / "0.png").read_bytes()
    (pets / "dog" / "0.png").write_bytes(whole[:40])
    with pytest.raises(BadInput, match=r"0\.png"):
        tasks.image_folder(pets, size=8)


def test_folders_that_cannot_be_used(pets, tmp_path) -> None:
    with pytest.raises(BadInput, match="There is no folder"):
        tasks.image_folder(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="20 pictures without a label"):
        tasks.image_folder(pets / "cat")
    (pets / "bird").mkdir()
    with pytest.raises(BadInput, match="bird is empty"):
        tasks.image_folder(pets, size=8)
    (pets / "bird" / "readme").write_text("none yet")
    with pytest.raises(BadInput, match=r"No file in .*bird is a picture"):
        tasks.image_folder(pets, size=8, skip_bad=True)
    (pets / "bird" / "readme").unlink()
    paint(pets / "bird" / "1.png")
    with pytest.raises(BadInput, match="class bird has 1 pictures"):
        tasks.image_folder(pets, size=8)
    with pytest.raises(BadInput, match="GiB"):
        tasks.image_folder(pets, size=20_000)
    with pytest.raises(BadInput, match="Ask for at most"):
        paint(pets / "bird" / "2.png")
        paint(pets / "bird" / "3.png")
        paint(pets / "bird" / "4.png")
        tasks.image_folder(pets, size=8, train=999)


def test_no_example_twice(pets) -> None:
    task = tasks.image_folder(pets, size=8)
    ids = np.concatenate([s.ids for s in (task.train, task.validation, task.test)])
    assert len(set(ids.tolist())) == 40
