"""What was learnt, on disk: equal logits in a new process, and files that are not what they should be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from course_lib import encoders, methods, tasks
from course_lib.errors import BadInput, Corrupt

OPTIONS = {"epochs": 1, "batch_size": 16}


@pytest.fixture(scope="module")
def encoder():
    return encoders.english_bert()


@pytest.fixture(scope="module")
def task():
    task = tasks.topics("en", train=64)
    return replace(task, test=task.test.sample(60))


@pytest.fixture(scope="module")
def learnt(encoder, task):
    """Return one classifier of every kind that can be saved."""
    probe = methods.linear_probe(encoder, task)
    tuned = methods.fine_tune(encoder, task, **OPTIONS, freeze_to=3, learning_rate=1e-3, init=probe)
    found = {
        "probe": probe,
        "coral": methods.coral(probe, task.train, task.validation),
        "fine-tuned": tuned,
        "rows": methods.fine_tune(encoder, task, **OPTIONS, freeze_to=None, embeddings="trained", init=probe),
        "lora": methods.lora(encoder, task, **OPTIONS, init=probe),
        "bitfit": methods.bitfit(encoder, task, **OPTIONS, init=probe),
        "part of the way": methods.wise_ft(tuned, 0.3),
    }
    return found


def rewritten(path: Path, change) -> None:
    """Write the file anew after `change(arrays, meta)`, keeping its digest as it was."""
    with safe_open(path, "numpy") as file:
        told = file.metadata()
    arrays, meta = load_file(path), json.loads(told["carryover"])
    change(arrays, meta)
    save_file(arrays, path, {**told, "carryover": json.dumps(meta)})


READ = """
    import sys
    from pathlib import Path
    import numpy as np
    from course_lib import methods, tasks

    test = tasks.topics("en").test.take(np.load(sys.argv[1] + "/rows.npy"))
    for path in sorted(Path(sys.argv[1]).glob("*.safetensors")):
        found = methods.load(path)
        said = found.logits(test) if hasattr(found, "logits") else found.predict_proba(test)
        np.save(path.with_suffix(".said.npy"), said)
"""


def test_equal_logits_in_a_new_process(learnt, task, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    whole = tasks.topics("en").test
    np.save(tmp_path / "rows.npy", np.flatnonzero(np.isin(whole.ids, task.test.ids)))
    test = whole.take(np.isin(whole.ids, task.test.ids))
    for name, classifier in learnt.items():
        methods.save(classifier, tmp_path / f"{name}.safetensors")
    elsewhere = {"COURSE_CACHE": str(tmp_path / "other cache"), "COURSE_PROGRESS": "0"}
    environment = {**os.environ, **elsewhere}  # so that no feature is found, and the network has to answer
    command = [sys.executable, "-c", textwrap.dedent(READ), str(tmp_path)]
    subprocess.run(command, env=environment, check=True)
    for name, classifier in learnt.items():
        said = classifier.logits(test) if hasattr(classifier, "logits") else classifier.predict_proba(test)
        assert np.array_equal(np.load(tmp_path / f"{name}.said.npy"), said), name


def test_the_story_is_kept(learnt, encoder, tmp_path) -> None:
    for name, classifier in learnt.items():
        again = methods.load(methods.save(classifier, tmp_path / "one.safetensors"), encoder)
        for what in (
            "name",
            "task_name",
            "class_names",
            "train_size",
            "parameters_trained",
            "chosen",
            "seconds",
        ):
            assert getattr(again, what) == getattr(classifier, what), (name, what)
        if name not in ("probe", "coral"):
            assert again.recipe == classifier.recipe and again.history == classifier.history
            assert str(again.audit) == str(classifier.audit)
            assert all(np.array_equal(again.start[n], a) for n, a in classifier.start.items())


def test_what_was_loaded_can_be_used_further(learnt, task, tmp_path) -> None:
    again = methods.load(methods.save(learnt["lora"], tmp_path / "lora.safetensors"))
    half = methods.wise_ft(again, 0.5)
    assert np.array_equal(half.logits(task.test), methods.wise_ft(learnt["lora"], 0.5).logits(task.test))
    assert again.encoder.key == learnt["lora"].encoder.key
    twice = methods.load(methods.save(again, tmp_path / "twice.safetensors"))
    assert np.array_equal(twice.logits(task.test), again.logits(task.test))


def test_frozen_weights_are_not_stored(learnt, tmp_path) -> None:
    sizes = {n: methods.save(c, tmp_path / f"{n}.safetensors").stat().st_size for n, c in learnt.items()}
    assert sizes["fine-tuned"] < 1.05 * 4 * learnt["fine-tuned"].parameters_trained + 100_000
    assert sizes["lora"] < 500_000 and sizes["bitfit"] < 250_000 and sizes["probe"] < 50_000


# -- the wrong encoder --------------------


def test_another_encoder_is_refused(learnt, tmp_path) -> None:
    path = methods.save(learnt["lora"], tmp_path / "lora.safetensors")
    others = [
        encoders.english_bert(pooling="cls"),
        encoders.english_bert(prefix="query: "),
        encoders.english_bert(weights="random"),
        encoders.multilingual_bert(),
    ]
    for other in others:
        with pytest.raises(BadInput, match="was learnt on all-minilm-l6-v2"):
            methods.load(path, other)


def test_the_right_name_with_other_weights_is_refused(learnt, encoder, tmp_path) -> None:
    path = methods.save(learnt["probe"], tmp_path / "probe.safetensors")
    spoilt = encoders.english_bert(weights="random")
    spoilt.key, spoilt.name = encoder.key, encoder.name
    with pytest.raises(Corrupt, match="has other weights"):
        methods.load(path, spoilt)


def test_an_encoder_that_was_trained_must_be_given(learnt, task, tmp_path) -> None:
    tuned = learnt["fine-tuned"].encoder
    probe = methods.linear_probe(tuned, task)
    path = methods.save(probe, tmp_path / "second.safetensors")
    with pytest.raises(BadInput, match=r"not found by its name alone.*\n.*load\(path, encoder\)"):
        methods.load(path)
    again = methods.load(path, tuned)
    assert np.array_equal(again.predict_proba(task.test), probe.predict_proba(task.test))


# -- the wrong file --------------------


@pytest.fixture
def path(learnt, tmp_path) -> Path:
    return methods.save(learnt["lora"], tmp_path / "lora.safetensors")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_file_that_is_cut_short(path, share) -> None:
    raw = path.read_bytes()
    path.write_bytes(raw[: int(share * len(raw))])
    with pytest.raises(Corrupt, match="may be cut short"):
        methods.load(path)


@pytest.mark.parametrize("place", [0.5, 0.9, 0.999])
def test_a_single_altered_byte(path, place) -> None:
    raw = bytearray(path.read_bytes())
    raw[int(place * len(raw))] ^= 1
    path.write_bytes(bytes(raw))
    with pytest.raises(Corrupt, match="was altered"):
        methods.load(path)


def test_altered_words(path) -> None:
    rewritten(path, lambda arrays, meta: meta.update(class_names=meta["class_names"][::-1]))
    with pytest.raises(Corrupt, match="was altered"):
        methods.load(path)


@pytest.mark.parametrize("name", ["own:classifier/kernel", "own:classifier/bias", "start:classifier/kernel"])
@pytest.mark.parametrize("told", [False, True])
def test_a_file_without_the_last_layer_is_refused(path, name, told) -> None:
    """Adapters without their last layer: nothing may fill it up at random."""

    def forget(arrays, meta):
        del arrays[name]
        if told:
            meta["tensors"].remove(name)

    rewritten(path, forget)
    with pytest.raises(Corrupt, match=r"was altered" if told else f"holds no '{name}'"):
        methods.load(path)


def test_a_missing_last_layer_is_noticed_even_by_a_file_that_agrees_with_itself(path, monkeypatch) -> None:
    from course_lib.methods import records

    def forget(arrays, meta):
        del arrays["own:classifier/kernel"]
        meta["tensors"].remove("own:classifier/kernel")

    rewritten(path, forget)
    with safe_open(path, "numpy") as file:
        told = file.metadata()["digest"]
    monkeypatch.setattr(records, "_digest", lambda words, arrays: told)
    with pytest.raises(Corrupt, match="holds no 'classifier/kernel'"):
        methods.load(path)


def test_files_of_others(tmp_path, path) -> None:
    with pytest.raises(BadInput, match=r"no file nothing\.safetensors"):
        methods.load(tmp_path / "nothing.safetensors")
    save_file({"x": np.zeros(3)}, tmp_path / "theirs.safetensors")
    with pytest.raises(BadInput, match=r"not written by methods\.save"):
        methods.load(tmp_path / "theirs.safetensors")
    (tmp_path / "text.safetensors").write_text("hello, this is no tensor file at all")
    with pytest.raises(Corrupt, match="cannot be read"):
        methods.load(tmp_path / "text.safetensors")
    rewritten(path, lambda arrays, meta: meta.update(format=99))
    with pytest.raises(BadInput, match="newer course"):
        methods.load(path)


def test_a_kill_while_writing_leaves_the_old_file(learnt, path, monkeypatch) -> None:
    before = path.read_bytes()

    def killed(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        methods.save(learnt["bitfit"], path)
    assert path.read_bytes() == before and not list(path.parent.glob(".*.part"))


def test_what_cannot_be_saved(task, tmp_path) -> None:
    picture = tasks.solar_cells("mono", train=40)
    neighbours = methods.knn(encoders.english_bert(), task)
    small = methods.majority(picture)
    for classifier in (neighbours, small):
        with pytest.raises(BadInput, match="cannot be saved here"):
            methods.save(classifier, tmp_path / "x.safetensors")


def test_a_probe_on_pictures_is_saved_too(tmp_path) -> None:
    cells = tasks.solar_cells("mono", train=40)
    encoder = encoders.imagenet(64)
    probe = methods.linear_probe(encoder, cells)
    path = methods.save(probe, tmp_path / "cells.safetensors")
    again = methods.load(path, encoders.imagenet(64))
    x = cells.test.x[:20]
    assert np.array_equal(again.predict_proba(x), probe.predict_proba(x))
    with pytest.raises(BadInput, match="was learnt on"):
        methods.load(path, encoders.imagenet(96))
