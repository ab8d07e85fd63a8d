"""XNLI and PAWS-X from a hub: the published rows and splits, and an answer in words to every failure."""

from __future__ import annotations

import io
import tracemalloc

import numpy as np
import pytest
from typer.testing import CliRunner

from course_lib import hub_files, tasks
from course_lib.cli import app, fetch
from course_lib.encoders.hub import PINNED
from course_lib.errors import BadInput, Corrupt, DataUnavailable
from course_lib.tasks import catalogue, hub_sentences

SIZES = {"train": 320, "validation": 90, "test": 120}
XNLI, PAWSX = hub_sentences.PUBLISHED["xnli"], hub_sentences.PUBLISHED["pawsx"]


def parquet(columns: dict[str, list], names: list[str]) -> bytes:
    """Return a table as the hub's data sets have it: with the names of the classes in the file."""
    import datasets

    features = {name: datasets.Value("int32" if name == "id" else "string") for name in columns}
    features["label"] = datasets.ClassLabel(names=names)
    out = io.BytesIO()
    datasets.Dataset.from_dict(columns, features=datasets.Features(features)).to_parquet(out)
    return out.getvalue()


def xnli_rows(language: str, part: str) -> dict[str, list]:
    """Pairs of packaged sentences: a premise and the sentence a few places on, labelled by place."""
    x = tasks.parallel_sentences().sentences(language)
    n, first = SIZES[part], {"train": 0, "validation": 1000, "test": 1500}[part]
    rows = {
        "premise": x[first : first + n].tolist(),
        "hypothesis": x[first + 7 : first + n + 7].tolist(),
        "label": [(k * k) % 3 for k in range(n)],
    }
    rows["label"][5] = -1
    rows["hypothesis"][9] = "  "
    return rows


@pytest.fixture
def published(hub) -> None:
    files = {}
    for language in ("en", "zh"):
        for part in SIZES:
            table = parquet(xnli_rows(language, part), list(XNLI.class_names))
            files[f"{language}/{part}-00000-of-00001.parquet"] = table
    files |= {"README.md": b"# XNLI", "xnli.py": b"raise SystemExit('code of the data set was run')"}
    hub.publish(XNLI.repository.name, files, kind="datasets", commit=XNLI.repository.commit)


def kept(rows: dict[str, list]) -> np.ndarray:
    pairs = zip(rows["label"], rows["premise"], rows["hypothesis"], strict=True)
    return np.array([k for k, (y, a, b) in enumerate(pairs) if y >= 0 and a.strip() and b.strip()])


@pytest.mark.parametrize(("language", "domain"), [("en", "English"), ("zh", "Chinese")])
def test_the_rows_and_splits_are_the_published_ones(published, language, domain) -> None:
    task = tasks.xnli(language)
    assert task.class_names == ("entailment", "neutral", "contradiction")
    assert (task.domain, task.train.domain, task.name) == (domain, domain, f"xnli/{language}")
    for part in SIZES:
        rows, split = xnli_rows(language, part), getattr(task, part)
        here = kept(rows)
        assert len(here) == SIZES[part] - 2
        assert split.x.tolist() == [[rows["premise"][k], rows["hypothesis"][k]] for k in here]
        assert split.y.tolist() == [rows["label"][k] for k in here]
        assert split.ids.tolist() == [f"{part}-{k:06d}" for k in here]
    assert ("machine" in task.note) == (language == "zh")
    assert "Conneau" in task.citation and "NC" in task.licence


def test_translations_share_ids_and_subsets(published) -> None:
    english, chinese = tasks.xnli("en", train=60), tasks.xnli("zh", train=60)
    for part in SIZES:
        a, b = getattr(english, part), getattr(chinese, part)
        assert a.ids.tolist() == b.ids.tolist()
        assert a.y.tolist() == b.y.tolist()
        assert not set(map(tuple, a.x)) & set(map(tuple, b.x))


def test_a_subset_is_that_of_the_whole_task(published) -> None:
    few, whole = tasks.xnli("en", train=50, seed=3), tasks.xnli("en").subset(50, seed=3)
    for part in SIZES:
        assert getattr(few, part).ids.tolist() == getattr(whole, part).ids.tolist()
        assert getattr(few, part).x.tolist() == getattr(whole, part).x.tolist()
    with pytest.raises(BadInput, match="Ask for at most 318"):
        tasks.xnli("en", train=1000)


def test_only_what_is_asked_for_is_downloaded_and_read(published, hub) -> None:
    tasks.xnli("zh", train=30)
    fetched = {
        path.rsplit("/", 2)[-2] for method, path, *_ in hub.log if method == "GET" and "parquet" in path
    }
    assert fetched == {"zh"}
    assert hub.asked("xnli.py") == []
    asked = len(hub.log)
    tasks.xnli("zh")
    assert len(hub.log) == asked
    tasks.xnli("en", train=30)
    assert len(hub.asked("/api/")) == 1  # commit and files are in the record


def test_a_subset_of_much_does_not_take_the_memory_of_much(hub) -> None:
    n = 24_000
    files = {}
    for part in SIZES:
        rows = {
            "premise": [f"premise number {k} of a long table of sentences" for k in range(n)],
            "hypothesis": [f"hypothesis number {k} of a long table of sentences" for k in range(n)],
            "label": [k % 3 for k in range(n)],
        }
        files[f"en/{part}-00000-of-00001.parquet"] = parquet(rows, list(XNLI.class_names))
    hub.publish(XNLI.repository.name, files, kind="datasets", commit=XNLI.repository.commit)
    found = hub_files.snapshot(XNLI.repository).bring(files)
    peaks = []
    for rows in (np.arange(0, n, 300), np.arange(n)):
        table = hub_sentences._Table(found, XNLI, "test", ["en/test-00000-of-00001.parquet"])
        tracemalloc.start()
        split = table.split(rows, "test", "English")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert split.x[-1, 0] == f"premise number {rows[-1]} of a long table of sentences"
    assert peaks[0] < peaks[1] / 20


def test_pawsx(hub) -> None:
    files = {}
    for language in ("en", "zh"):
        x = tasks.parallel_sentences().sentences(language)
        for start, part in enumerate(SIZES):
            rows = {
                "id": list(range(40, 0, -1)),
                "sentence1": x[:40].tolist(),
                "sentence2": x[40:80].tolist(),
            }
            rows["label"] = [k % 2 for k in range(40)]
            rows["sentence1"][start] = ""
            files[f"{language}/{part}-00000-of-00001.parquet"] = parquet(rows, ["0", "1"])
    hub.publish(PAWSX.repository.name, files, kind="datasets", commit=PAWSX.repository.commit)
    task = tasks.pawsx("zh")
    assert task.class_names == ("different meaning", "same meaning")
    assert task.test.ids.tolist() == [f"test-{k:06d}" for k in range(40, 0, -1) if k != 38]
    assert task.test.ids.tolist() == tasks.pawsx("en").test.ids.tolist()
    assert task.test.x.shape == (39, 2)


def test_an_unknown_language() -> None:
    with pytest.raises(BadInput, match=r"language='ja'(.|\n)*en, zh, ar"):
        tasks.xnli("ja")


def test_failures_are_told_in_words(hub, hasty, monkeypatch, published) -> None:
    hub.faults["/resolve/"].append((429, {"Retry-After": "600"}, b""))
    with pytest.raises(DataUnavailable, match="asks to wait 10 minutes") as error:
        tasks.xnli("en")
    assert "tasks.topics()" in error.value.remedy
    hub.repos[f"datasets/{XNLI.repository.name}"].gated = True
    with pytest.raises(DataUnavailable, match="facebook/xnli is gated"):
        tasks.xnli("en")
    hub.repos.clear()
    hub_files._record(XNLI.repository, XNLI.repository.commit).unlink(missing_ok=True)
    with pytest.raises(DataUnavailable, match="does not show facebook/xnli"):
        tasks.xnli("en")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DataUnavailable, match=r"did not come from http://127\.0\.0\.1:9"):
        tasks.xnli("en")
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    with pytest.raises(DataUnavailable, match="not on this machine and COURSE_OFFLINE is set"):
        tasks.xnli("en")


def test_offline_with_what_is_here(published, hub, monkeypatch) -> None:
    online = tasks.xnli("zh", train=30)
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    assert tasks.xnli("zh", train=30).train.x.tolist() == online.train.x.tolist()
    with pytest.raises(DataUnavailable, match=r"en/train-.* is not on this machine"):
        tasks.xnli("en")


def test_a_language_that_the_mirror_lacks(hub) -> None:
    files = {f"en/{part}-00000-of-00001.parquet": b"x" for part in ("train", "test")}
    hub.publish(XNLI.repository.name, files, kind="datasets", commit=XNLI.repository.commit)
    with pytest.raises(DataUnavailable, match=r"has no en/validation-….parquet at commit b8dd5d7af511"):
        tasks.xnli("en")


def test_tables_that_cannot_be_read(hub, published) -> None:
    files = dict(hub.repos[f"datasets/{XNLI.repository.name}"].commits[XNLI.repository.commit])
    name = "en/train-00000-of-00001.parquet"
    hub.publish(
        XNLI.repository.name, {**files, name: b"PAR1junk"}, kind="datasets", commit=XNLI.repository.commit
    )
    with pytest.raises(Corrupt, match="cannot be read as Parquet"):
        tasks.xnli("en")


def test_other_columns(hub) -> None:
    table = parquet({"a": ["x"], "b": ["y"], "label": [0]}, ["no", "yes"])
    files = {f"en/{part}-00000-of-00001.parquet": table for part in SIZES}
    hub.publish(XNLI.repository.name, files, kind="datasets", commit=XNLI.repository.commit)
    with pytest.raises(Corrupt, match="has no column hypothesis, premise; it has a, b, label"):
        tasks.xnli("en")


def test_a_cache_that_cannot_be_written(published, tmp_path, monkeypatch) -> None:
    tasks.xnli("en", train=30)
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataUnavailable, match="cannot be unpacked") as error:
        tasks.xnli("en", train=30)
    assert "COURSE_CACHE" in error.value.remedy


def test_the_catalogue_and_the_command(published, hub) -> None:
    assert tasks.status("xnli").state == "downloadable"
    assert not tasks.available("xnli")
    assert catalogue.first_available("xnli", "topics") == "topics"
    assert hub.log == []
    result = CliRunner().invoke(app, ["fetch", "xnli"])
    assert (result.exit_code, "(en, zh)" in result.stdout) == (0, True)
    assert tasks.available("xnli")
    assert tasks.status("xnli").how == "en, zh, from the hub"
    assert tasks.load("xnli", language="zh", train=30).domain == "Chinese"
    assert tasks.status("topics").state == "here"
    assert tasks.load("topics", language="zh").domain == "Chinese"


def test_the_command_fetches_networks(hub, english_files) -> None:
    pinned = PINNED["bert-base-chinese"]
    hub.publish(pinned.name, english_files, commit=pinned.commit)
    result = CliRunner().invoke(app, ["fetch", "bert-base-chinese"])
    assert (result.exit_code, pinned.commit in result.stdout) == (0, True)
    with pytest.raises(BadInput, match=r"--from='/mnt' does not apply(.|\n)*HF_ENDPOINT"):
        fetch.fetch_data("xnli", "/mnt")


def test_nothing_is_counted_or_told_elsewhere(published, hub) -> None:
    """The network is barred but for this server, which must have heard of nothing but files."""
    tasks.xnli("en", train=30)
    assert all("/xnli" in path or path.startswith("/cdn/") for _, path, *_ in hub.log)


def test_no_progress_bars_of_others_are_left_off(published, capfd) -> None:
    import datasets

    datasets.enable_progress_bars()
    tasks.xnli("en", train=30)
    assert not datasets.utils.are_progress_bars_disabled()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("method", ["zero-shot", "translate-train"])
def test_the_long_run_goes_from_the_hub_to_two_languages(hub, published, english_files, method) -> None:
    from course_lib.bench import cross_lingual

    network = PINNED["bert-base-multilingual-cased"]
    hub.publish(network.name, english_files, commit=network.commit)
    setting = next(s for s in cross_lingual.settings("xnli") if s["method"] == method)
    with pytest.warns(RuntimeWarning, match="does not cover"):  # what is served knows English alone
        found = cross_lingual.work(setting, epochs=2, learning_rate=1e-3, precision="float32")
    # no third class occurs, and the second is twice as frequent as the first: that much it learns
    assert found["epoch"] > 0 and found["validation_accuracy"] > 0.5
    assert found["test_accuracy_en"] > 0.5 and found["test_accuracy_zh"] > 0.5
    taught = {"zero-shot": "en", "translate-train": "zh"}[method]
    trained_on = {language for language in ("en", "zh") if hub.asked(f"{language}/train")}
    assert taught in trained_on
