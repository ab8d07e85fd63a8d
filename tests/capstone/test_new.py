"""`course new`: what is laid out, and what is said about data that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from course_lib import capstone
from course_lib.capstone.columns import chosen_columns
from course_lib.capstone.settings import read_settings
from course_lib.cli import app
from course_lib.errors import BadInput
from tests.capstone.made import write_pictures, write_table

runner = CliRunner()


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 20, 20, 3), dtype=np.uint8)


@pytest.fixture
def pets(tmp_path) -> Path:
    return write_pictures(tmp_path / "pets", noise(40), np.arange(40) % 2, ("cat", "dog"))


def test_a_project_of_pictures(pets, tmp_path):
    place = tmp_path / "mine"
    result = runner.invoke(app, ["new", str(place), "--data", str(pets), "--minutes", "3"])
    assert result.exit_code == 0, result.output
    assert f"course run {place}" in result.output
    assert sorted(p.name for p in place.iterdir()) == ["README.md", "capstone.ipynb", "project.toml"]
    settings = read_settings(place)
    assert (settings.kind, settings.data, settings.minutes) == ("pictures", "../pets", 3.0)
    assert settings.place == pets.resolve()
    assert "2 classes, 24 / 6 / 10 train / validation / test" in (place / "README.md").read_text()
    notebook = nbformat.read(place / "capstone.ipynb", as_version=4)
    nbformat.validate(notebook)
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    order = [code.index(word) for word in ('"probe"', '"fine-tuned"', "project.verdict", "capstone.run")]
    assert order == sorted(order)


def test_a_project_to_be_filled(tmp_path):
    place = capstone.new_project(tmp_path / "later")
    assert (place / "data").is_dir()
    with pytest.raises(BadInput, match="0 class folders"):
        capstone.run(place)
    place = capstone.new_project(tmp_path / "texts", kind="sentences")
    assert "sentences.csv" in (place / "README.md").read_text()
    with pytest.raises(BadInput, match="There is nothing at"):
        capstone.run(place)


def test_nothing_is_overwritten(pets, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "thesis.txt").write_text("years")
    for place in (tmp_path / "there", tmp_path / "there" / "thesis.txt"):
        result = runner.invoke(app, ["new", str(place), "--data", str(pets)])
        assert isinstance(result.exception, BadInput)
        assert "not empty" in str(result.exception)
    assert [p.name for p in (tmp_path / "there").iterdir()] == ["thesis.txt"]
    (tmp_path / "empty").mkdir()
    assert runner.invoke(app, ["new", str(tmp_path / "empty"), "--data", str(pets)]).exit_code == 0


@pytest.mark.parametrize("case", ["nothing", "no folder", "one class", "two pictures", "no picture", "table"])
def test_folders_that_cannot_be_used_leave_no_project(pets, tmp_path, case):
    data, said = pets, ""
    if case == "nothing":
        data = tmp_path / "empty"
        data.mkdir()
        said = "0 class folders"
    if case == "no folder":
        data, said = tmp_path / "nowhere", "There is nothing at"
    if case == "one class":
        for path in (pets / "dog").iterdir():
            path.unlink()
        (pets / "dog").rmdir()
        said = "expected two folders or more"
    if case == "two pictures":
        write_pictures(pets, noise(2, seed=5), np.zeros(2, int), ("fox",))
        said = "class fox has 2 pictures"
    if case == "no picture":
        for path in (pets / "dog").iterdir():
            path.write_text("not a picture")
        said = "No file in .*dog is a picture"
    if case == "table":
        data = write_table(tmp_path / "s.csv", ["a"], ["b"])
        said = "is a file; pictures come from a folder"
    kind = "pictures" if case == "table" else None
    with pytest.raises(BadInput, match=said):
        capstone.new_project(tmp_path / "mine", data, kind)
    assert not (tmp_path / "mine").exists()


def test_what_is_no_picture_is_left_out_and_told(pets, tmp_path):
    (pets / "cat" / "notes.txt").write_text("hello")
    (pets / "cat" / "broken.png").write_bytes(b"\x89PNG, or not")
    (pets / "plan.docx").write_text("belongs to no class")
    place = capstone.new_project(tmp_path / "mine", pets)
    assert "2 files are no pictures and were left out: notes.txt" in (place / "README.md").read_text()


def test_given_splits_are_kept(tmp_path):
    for part, n in (("train", 20), ("test", 12)):
        write_pictures(tmp_path / "split" / part, noise(n, seed=n), np.arange(n) % 2, ("a", "b"))
    data = capstone.load(capstone.new_project(tmp_path / "mine", tmp_path / "split")).data
    assert len(data.task.test) == 12
    assert any("split as the folders say" in note for note in data.notes)
    assert all("/test/" in f"/{one}" for one in data.task.test.ids)


def test_duplicates_across_splits_are_caught(tmp_path):
    x = noise(32, seed=3)
    write_pictures(tmp_path / "split" / "train", x[:20], np.arange(20) % 2, ("a", "b"))
    again = x[[0, 1, *range(22, 32)]]  # two of training come again in test
    write_pictures(tmp_path / "split" / "test", again, np.arange(12) % 2, ("a", "b"))
    saved = tmp_path / "split" / "test" / "a" / "saved again.jpg"
    Image.open(tmp_path / "split" / "train" / "a" / "0002.png").save(saved, quality=95)
    data = capstone.load(capstone.new_project(tmp_path / "mine", tmp_path / "split")).data
    assert len(data.duplicates) == 2
    caught = {pair.first for pair in data.duplicates}
    assert caught == {"train/a/0000.png", "train/b/0001.png"}
    for split in (data.task.train, data.task.validation):
        assert not caught & set(split.ids.tolist())
    assert len(data.task.test) == 13
    near = [one for one in data.warnings if "nearly equal" in one]
    assert len(near) == 1
    assert "1 pictures" in near[0]
    assert "saved again.jpg" in near[0]


def test_small_and_unbalanced_classes_are_told(tmp_path):
    x, y = noise(80, seed=1), np.array([0] * 70 + [1] * 10)
    write_pictures(tmp_path / "few", x, y, ("common", "rare"))
    data = capstone.load(capstone.new_project(tmp_path / "mine", tmp_path / "few")).data
    assert data.metric == "balanced_accuracy"
    text = "\n".join(data.warnings)
    assert "Fewer than 20 training examples: rare." in text
    assert "Fewer than 10 test examples: rare." in text
    assert "Unbalanced: common has 7.0 times the examples of rare." in text
    assert "Only 20 test examples" in text


def test_one_picture_in_two_classes(pets, tmp_path):
    (pets / "dog" / "zz.png").write_bytes((pets / "cat" / "0000.png").read_bytes())
    data = capstone.load(capstone.new_project(tmp_path / "mine", pets)).data
    assert any("1 pictures stand under several classes" in one for one in data.warnings)


def test_a_project_of_sentences(tmp_path):
    words = [f"{word} 天气 很好 {k}" for k in range(20) for word in ("晴", "雨")]
    table = write_table(tmp_path / "天气.csv", words, ["dry", "wet"] * 20, names=("句子", "类别"))
    result = runner.invoke(app, ["new", str(tmp_path / "mine"), "--data", str(table)])
    assert result.exit_code == 0, result.output
    settings = read_settings(tmp_path / "mine")
    assert (settings.kind, settings.text, settings.label) == ("sentences", "句子", "类别")
    assert settings.language == "zh"
    assert "24 / 6 / 10" in (tmp_path / "mine" / "README.md").read_text()


def test_columns_are_told_when_they_are_not_found(tmp_path):
    table = write_table(tmp_path / "s.csv", ["x y"] * 6, ["a", "b"] * 3, names=("remark", "mark"))
    with pytest.raises(BadInput, match=r"It has 'remark', 'mark'(.|\n)*--text"):
        capstone.new_project(tmp_path / "mine", table)
    with pytest.raises(BadInput, match=r"no column 'remarks'; it has 'remark', 'mark'"):
        capstone.new_project(tmp_path / "mine", table, text="remarks", label="mark")
    assert chosen_columns(table, "remark", "mark")["text"] == "remark"
    bare = tmp_path / "bare.csv"
    bare.write_text(
        '"I would like a cup of tea and some bread, please",food\n"The train is late",transport\n'
    )
    with pytest.raises(BadInput, match=r"do not look like names(.|\n)*Write a first line"):
        capstone.new_project(tmp_path / "mine", bare)
    short = tmp_path / "short.csv"
    short.write_text("Tea please,food\nToo late,transport\n")
    with pytest.raises(BadInput, match="the first line is missing"):
        capstone.new_project(tmp_path / "mine", short)
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    with pytest.raises(BadInput, match="is empty"):
        capstone.new_project(tmp_path / "mine", empty)
    gb = tmp_path / "gb.csv"
    gb.write_bytes("text,label\n你好世界,好\n".encode("gb18030"))
    with pytest.raises(BadInput, match="probably GB18030"):
        capstone.new_project(tmp_path / "mine", gb)
    with pytest.raises(BadInput, match=r"is a folder(.|\n)*s\.csv|is a folder"):
        capstone.new_project(tmp_path / "mine", tmp_path, "sentences")
    assert not (tmp_path / "mine").exists()


def test_one_class_of_sentences(tmp_path):
    table = write_table(tmp_path / "s.csv", [f"text {k}" for k in range(9)], ["same"] * 9)
    with pytest.raises(BadInput, match="nothing to tell apart"):
        capstone.new_project(tmp_path / "mine", table)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("minuts = 5", "Did you mean 'minutes'"),
        ("seeds = 0", "Give 1 or more"),
        ("seeds = 2.5", "Give a whole number"),
        ("minutes = true", "Give a number"),
        ("pixels = 20", "Give 64 to 224"),
        ('metric = "roc"', "'auto', 'accuracy'"),
        ('control = "characters"', "'from scratch', 'pixels'"),
        ("metric = auto", "is not TOML"),
    ],
)
def test_settings_that_cannot_be(pets, tmp_path, line, said):
    place = capstone.new_project(tmp_path / "mine", pets)
    kept = [
        one
        for one in (place / "project.toml").read_text().splitlines()
        if one.split(" ")[0] != line.split(" ")[0]
    ]
    (place / "project.toml").write_text("\n".join([*kept, line]))
    with pytest.raises(BadInput, match=said):
        capstone.load(place)


def test_the_file_says_what_was_asked(pets, tmp_path):
    place = capstone.new_project(
        tmp_path / "mine", pets, minutes=2.5, seeds=4, control="pixels", metric="macro_f1"
    )
    settings = read_settings(place)
    assert (settings.minutes, settings.seeds, settings.control, settings.metric) == (
        2.5,
        4,
        "pixels",
        "macro_f1",
    )
    for line in (place / "project.toml").read_text().splitlines():
        assert "#" in line


def test_a_folder_that_is_no_project(tmp_path):
    result = runner.invoke(app, ["run", str(tmp_path)])
    assert isinstance(result.exception, BadInput)
    assert "no project" in str(result.exception)
    with pytest.raises(BadInput, match="course new"):
        capstone.load(tmp_path)
    result = runner.invoke(app, ["run", str(tmp_path), "04"])
    assert "runs alone" in str(result.exception)


def test_a_notebook_is_plain_json(pets, tmp_path):
    place = capstone.new_project(tmp_path / "mine", pets)
    cells = json.loads((place / "capstone.ipynb").read_text())["cells"]
    assert len({cell["id"] for cell in cells}) == len(cells)
