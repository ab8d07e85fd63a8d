"""A project from data to report: what it says about good labels, and about labels that say nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from typer.testing import CliRunner

from course_lib import capstone, methods, tasks
from course_lib.capstone import learners, project
from course_lib.capstone.ledger import Ledger
from course_lib.cli import app
from course_lib.errors import CourseError
from course_lib.runner.state import only_one
from tests.capstone.made import write_pictures, write_table

runner = CliRunner()


def quiet(_: str) -> None:
    pass


def told(place: Path) -> dict:
    return json.loads((place / "report" / "report.json").read_text(encoding="utf-8"))


def set_to(place: Path, **values: object) -> None:
    path = place / "project.toml"
    text = path.read_text()
    for name, value in values.items():
        text = re.sub(rf"^{name} = .*$", f"{name} = {json.dumps(value)}", text, flags=re.MULTILINE)
    path.write_text(text)


@pytest.fixture(scope="module")
def pictures(digits, tmp_path_factory):
    """A finished project of pictures, from the command line to the report."""
    root = tmp_path_factory.mktemp("pictures")
    data = write_pictures(root / "digits", *digits)
    place = root / "project"
    assert runner.invoke(app, ["new", str(place), "--data", str(data)]).exit_code == 0
    set_to(place, pixels=64, epochs=1, freeze_to="block10", control="pixels")
    result = runner.invoke(app, ["run", str(place)])
    assert result.exit_code == 0, result.output
    return place, result.output


@pytest.fixture(scope="module")
def topics(sentences, tmp_path_factory):
    """A finished project of sentences."""
    root = tmp_path_factory.mktemp("sentences")
    place = capstone.new_project(
        root / "project", write_table(root / "topics.csv", *sentences), encoder="english_bert", epochs=1
    )
    return place, capstone.run(place, quiet)


def test_a_folder_of_pictures_ends_in_a_report(pictures):
    place, said = pictures
    assert "1/7 reading the data" in said
    assert "4 classes, 144 / 36 / 60 train / validation / test" in said
    report = told(place)
    assert report["data"]["metric"] == "accuracy"
    assert set(report["scores"]) == {"probe", "fine-tuned", "pixels", "largest class"}
    for score in report["scores"].values():
        assert 0 <= score["low"] <= score["value"] <= score["high"] <= 1
    assert report["scores"]["probe"]["value"] > 0.8
    assert report["scores"]["largest class"]["value"] == pytest.approx(0.25)
    assert report["verdicts"]["Was anything learnt?"]["answer"] == "helped"
    assert report["answer"] in ("helped", "cannot tell", "hurt")
    assert (
        report["answer"] != "hurt" or report["scores"]["pixels"]["value"] > report["scores"]["probe"]["value"]
    )
    assert report["chosen"] == max(report["validation"], key=report["validation"].get)
    assert report["final"]["train_size"] == 144
    assert report["calibration"]["as it is"]["n"] == 60
    assert [point["size"] for point in report["learning_curves"][0]["means"]] == [9, 18, 36, 72, 144]
    wrong = round((1 - report["final"]["accuracy"]["value"]) * 60)
    assert len(report["mistakes"]) == min(wrong, 12)
    sure = [one["confidence"] for one in report["mistakes"]]
    assert sure == sorted(sure, reverse=True)


def test_the_page_tells_the_same_and_needs_nothing_else(pictures):
    place, _ = pictures
    page, report = (place / "report" / "index.html").read_text(encoding="utf-8"), told(place)
    assert report["headline"].split(":")[0] in page
    for part in (
        "Verdicts",
        "What it cost",
        "Few labels",
        "Hardest mistakes",
        "What weakens this result",
        "The data",
    ):
        assert f">{part}" in page
    assert not re.findall(r'(?:src|href)="(?!data:)[^"]*"', page)
    assert "<script" not in page
    assert page.count("<img") >= 5
    assert all("alt=" in tag for tag in re.findall(r"<img[^>]*>", page))


def test_the_chosen_learner_is_kept(topics):
    place, findings = topics
    assert findings.model == "model.safetensors"
    again = methods.load(place / "report" / findings.model)
    task = capstone.load(place).task
    assert (again.predict(task.test) == findings.final.predictions).all()


def test_a_table_of_sentences_ends_in_a_report(topics):
    place, findings = topics
    report = told(place)
    assert findings.answer == report["answer"] == "helped"
    assert "above characters" in report["headline"]
    assert report["scores"]["probe"]["low"] > report["scores"]["largest class"]["high"]
    page = (place / "report" / "index.html").read_text(encoding="utf-8")
    assert findings.data.task.test.x[findings.mistakes[0].row][:12] in page.replace("&#39;", "'")


@pytest.mark.parametrize("kind", ["pictures", "sentences"])
def test_shuffled_labels_are_no_success(kind, digits, sentences, tmp_path):
    rng = np.random.default_rng(1)
    if kind == "pictures":
        x, y, names = digits
        data, options = (
            write_pictures(tmp_path / "data", x, rng.permutation(y), names),
            {"pixels": 64, "control": "pixels"},
        )
    else:
        texts, labels = sentences
        data, options = (
            write_table(tmp_path / "data.csv", texts, rng.permutation(labels)),
            {"encoder": "english_bert"},
        )
    place = capstone.new_project(tmp_path / "project", data, minutes=0.0, **options)
    findings = capstone.run(place, quiet)
    assert findings.answer in ("cannot tell", "hurt")
    assert findings.floor.answer != "helped"
    assert "labels" in findings.advice[0]
    assert findings.tuned is None
    page = (place / "report" / "index.html").read_text(encoding="utf-8")
    assert "Transfer helped" not in page
    assert findings.headline.split(":")[0] in page


def test_a_second_run_fits_nothing_again(topics, monkeypatch):
    place, findings = topics
    monkeypatch.setattr(Ledger, "keep", lambda *_: pytest.fail("something was fitted again"))
    again = capstone.run(place, quiet)
    assert again.scores() == findings.scores()
    assert again.final.predictions.tolist() == findings.final.predictions.tolist()


def test_an_interrupted_run_goes_on(sentences, tmp_path, monkeypatch):
    data = write_table(tmp_path / "s.csv", *sentences)
    place = capstone.new_project(tmp_path / "project", data, encoder="english_bert", minutes=0.0, labels=60)
    fitted: list[str] = []
    fit = learners.Learners.fit

    def counted(self, name, task, seed, checkpoint=None):
        if len(fitted) == 4:
            fitted.append("stop")
            raise KeyboardInterrupt
        fitted.append(name)
        return fit(self, name, task, seed, checkpoint)

    monkeypatch.setattr(learners.Learners, "fit", counted)
    assert runner.invoke(app, ["run", str(place)]).exit_code == 130
    assert fitted == ["probe"] * 3 + ["characters", "stop"]
    kept = sorted((place / "work").glob("*.npz"))
    assert len(kept) == 4
    kept[0].write_bytes(kept[0].read_bytes()[:100])  # a torn file is no result
    monkeypatch.setattr(project.measure, "learning_curve", fewer(project.measure.learning_curve))
    findings = capstone.run(place, quiet)
    of_curves, final = 6, 1
    assert len(fitted[5:]) - of_curves - final == 9 - 4 + 1  # what was missing, and what was torn
    assert findings.source.seeds == 3
    assert len(list((place / "work").glob("*.npz"))) == 10


def fewer(curve):
    """Return `curve` for the smallest size alone."""
    return lambda fit, task, sizes, seeds, name, **more: curve(fit, task, [sizes[0]], seeds, name, **more)


def test_a_change_of_the_data_fits_anew(sentences, tmp_path):
    texts, labels = sentences
    one = tasks.sentence_table(
        write_table(tmp_path / "a.csv", texts, labels), text="text", label="label", language="en"
    )
    other = tasks.sentence_table(
        write_table(tmp_path / "b.csv", [texts[0] + "!", *texts[1:]], labels),
        text="text",
        label="label",
        language="en",
    )
    keys = {Ledger(tmp_path, task).key(name="probe", seed=0) for task in (one, one, other)}
    assert len(keys) == 2


def test_two_runs_of_one_project_do_not_meet(topics):
    place, _ = topics
    with only_one(place / "work"), pytest.raises(CourseError, match="Another `course run`"):
        capstone.run(place, quiet)


def test_what_the_data_say_is_text(sentences, tmp_path):
    texts, labels = sentences
    evil = "<script>alert(1)</script>"
    data = write_table(
        tmp_path / "s.csv", [f"{evil} {one}" for one in texts], [f"<b>{one}" for one in labels]
    )
    place = capstone.new_project(tmp_path / "project", data, encoder="english_bert", minutes=0.0, labels=60)
    capstone.run(place, quiet)
    page = (place / "report" / "index.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<b>" not in re.sub(r"<b>&lt;b&gt;", "", page)


def test_the_notebook_of_a_project_runs(topics, monkeypatch):
    place, _ = topics
    cells = nbformat.read(place / "capstone.ipynb", as_version=4).cells
    monkeypatch.chdir(place)
    space: dict = {}
    for cell in cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, cell.id, "exec"), space)
    assert space["findings"].answer == "helped"
    assert "report" in capstone.shown(space["findings"])._repr_html_()
