"""Networks from the hub: the same features as transformers gives, and an answer in words to every failure."""

from __future__ import annotations

import json
import re
import shutil
import traceback
import warnings
from pathlib import Path

import numpy as np
import pytest

from course_lib import encoders, hub_files
from course_lib.encoders import hub as models
from course_lib.errors import BadInput, Corrupt, DataUnavailable

TEXTS = ["Hello, teacher!", "The weather is fine today, is it not?", "I do not know.", "Two cups of tea"]
TOKEN = "hf_secretsecretsecret"
DEFAULT = r"encoders\.multilingual_bert\(\)"
BUSY = (429, {"Retry-After": "1"}, b"")


def said(error: pytest.ExceptionInfo) -> str:
    text = str(error.value)
    assert "What to do: " in text
    assert TOKEN not in "".join(traceback.format_exception(error.value))
    assert "s3cret" not in text  # the signature of an address
    return text


def by_transformers(folder: Path, texts: list[str]) -> np.ndarray:
    """Return mean-pooled last states, straight from the library, one text at a time."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = []
    with torch.inference_mode():
        for text in texts:
            rows.append(
                model(**tokenizer(text, return_tensors="pt")).last_hidden_state.mean(dim=1)[0].numpy()
            )
    return np.stack(rows)


def left_over(folder: Path) -> list[str]:
    return [str(p) for p in folder.rglob("*") if p.name.endswith((".incomplete", ".part", ".tmp"))]


def test_features_are_those_of_transformers(hub, english, english_files, tmp_path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    for name, content in english_files.items():
        (plain / name).write_bytes(content)
    (plain / "pytorch_model.bin").unlink()
    encoder = encoders.english_bert(english)
    features = encoder.encode(TEXTS, progress=False)
    assert (features.shape, features.dtype) == ((4, 384), np.float32)
    np.testing.assert_allclose(features, by_transformers(plain, TEXTS), atol=2e-6)
    assert not np.allclose(features, encoders.english_bert(layer=2).encode(TEXTS, cache=False), atol=1e-4)


def test_only_what_is_needed_is_asked_for_and_only_once(hub, english) -> None:
    folder = models.model_folder(english)
    assert {p.name for p in folder.iterdir()} == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
    }
    assert len(hub.asked("/cdn/")) == 2  # the weights and tokenizer.json
    asked = len(hub.log)
    assert models.model_folder(english) == folder
    hub.shutdown()
    hub.server_close()
    assert models.model_folder(english) == folder
    assert len(hub.log) == asked
    assert left_over(folder.parents[2]) == []


def test_the_key_of_features_names_the_commit(hub, english) -> None:
    folder = models.model_folder(english)
    commit = hub.repos[f"models/{english}"].branches["main"]
    assert models.describe(folder) == (f"tiny--english-bert-{commit[:12]}", 384, 2)


def test_main_is_looked_up_once_and_recorded(hub, english, english_files) -> None:
    first = models.model_folder(english)
    config = json.loads(english_files["config.json"]) | {"note": "newer"}
    newer = hub.publish(english, {**english_files, "config.json": json.dumps(config).encode()})
    assert models.model_folder(english) == first
    assert models.model_folder(english, revision=newer).name == newer != first.name
    record = json.loads(next(hub_files.cache_dir("hub").glob("*@main.json")).read_text())
    assert record["commit"] == first.name
    assert all(re.fullmatch("[0-9a-f]{64}", record["files"][p.name]["sha256"]) for p in first.iterdir())


def test_pins_are_commits_and_digests() -> None:
    assert set(models.PINNED) == {
        "bert-base-multilingual-cased",
        "xlm-roberta-base",
        "intfloat/multilingual-e5-small",
        "bert-base-uncased",
        "bert-base-chinese",
    }
    for repository in models.PINNED.values():
        assert re.fullmatch("[0-9a-f]{40}", repository.commit)
        assert "/" in repository.name
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in repository.sha256.values())


def test_a_pinned_name_takes_its_commit_whatever_main_is(hub, english_files, monkeypatch) -> None:
    pinned = models.PINNED["bert-base-chinese"]
    hub.publish(pinned.name, english_files, commit=pinned.commit)
    hub.publish(pinned.name, {"README.md": b"something else"})
    for name in ("bert-base-chinese", pinned.name):
        assert models.model_folder(name).name == pinned.commit
    assert encoders.multilingual_bert("bert-base-chinese").encode(["tea"], cache=False).shape == (1, 384)


def test_other_weights_under_a_pinned_digest_are_refused_before_they_come(hub, english_files) -> None:
    pinned = models.PINNED["bert-base-uncased"]
    hub.publish(pinned.name, english_files, commit=pinned.commit)
    with pytest.raises(Corrupt, match="published was 68d45e234eb4a928") as error:
        models.model_folder("bert-base-uncased")
    assert "unset HF_ENDPOINT" in said(error)
    assert hub.asked("/resolve/") == []


def test_weights_in_several_files(hub, english, english_files, tmp_path) -> None:
    from safetensors.torch import load, save

    state = load(english_files["model.safetensors"])
    parts = {f"model-0000{k}-of-00002.safetensors": dict(list(state.items())[k - 1 :: 2]) for k in (1, 2)}
    index = {"metadata": {}, "weight_map": {name: file for file, part in parts.items() for name in part}}
    files = {name: content for name, content in english_files.items() if name != "model.safetensors"}
    files |= {name: save(part, metadata={"format": "pt"}) for name, part in parts.items()}
    hub.publish("tiny/two", {**files, "model.safetensors.index.json": json.dumps(index).encode()})
    two = encoders.english_bert("tiny/two").encode(TEXTS, cache=False)
    np.testing.assert_array_equal(two, encoders.english_bert(english).encode(TEXTS, cache=False))
    index["weight_map"] |= {"bert.x": "model-00003-of-00002.bin"}
    hub.publish("tiny/odd", {**files, "model.safetensors.index.json": json.dumps(index).encode()})
    with pytest.raises(BadInput, match=r"names model-00003-of-00002\.bin"):
        models.model_folder("tiny/odd")


@pytest.fixture(scope="session")
def multilingual_files(tmp_path_factory) -> dict[str, bytes]:
    """A small XLM-RoBERTa with its masked-language-model head and the most frequent packaged pieces."""
    import torch
    from tokenizers import models as kinds
    from transformers import XLMRobertaConfig, XLMRobertaForMaskedLM

    from course_lib.encoders import e5_small
    from course_lib.encoders.packaged import weights_file

    folder = tmp_path_factory.mktemp("xlmr")
    contents = e5_small.read(weights_file("multilingual-e5-small"))
    tokenizer = e5_small.tokenizer(contents)
    pieces = [*contents.pieces[:8000], ("<mask>", 0.0)]
    tokenizer.backend_tokenizer.model = kinds.Unigram(pieces, unk_id=contents.special["unk"])
    tokenizer.add_special_tokens({"mask_token": "<mask>"})
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 64, "num_hidden_layers": 2}
    config = XLMRobertaConfig(
        vocab_size=len(tokenizer), max_position_embeddings=66, type_vocab_size=1, **sizes
    )
    XLMRobertaForMaskedLM(config).save_pretrained(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_xlm_roberta(hub, multilingual_files, tmp_path) -> None:
    for name, content in multilingual_files.items():
        (tmp_path / name).write_bytes(content)
    hub.publish("tiny/xlmr", multilingual_files)
    encoder = encoders.multilingual_bert("tiny/xlmr", max_tokens=64)
    texts = [*TEXTS, "你好，老师！"]
    np.testing.assert_allclose(
        encoder.encode(texts, cache=False), by_transformers(tmp_path, texts), atol=2e-6
    )
    assert type(encoder.model).__name__ == "XLMRobertaModel"
    with pytest.raises(BadInput, match="has 64 positions"):
        encoders.multilingual_bert("tiny/xlmr", max_tokens=65).encode(texts, cache=False)


@pytest.mark.parametrize("variable", ["COURSE_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_with_nothing_here(hub, english, monkeypatch, variable) -> None:
    monkeypatch.setenv(variable, "1")
    with pytest.raises(DataUnavailable, match=f"not on this machine and {variable} is set") as error:
        models.model_folder(english)
    assert re.search(DEFAULT, said(error))
    assert hub.log == []


@pytest.mark.parametrize("variable", ["COURSE_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_with_files_that_another_program_downloaded(hub, english, monkeypatch, variable) -> None:
    from huggingface_hub import snapshot_download

    everything = snapshot_download(
        english, endpoint=hub.url, cache_dir=hub_files.hub_cache(), ignore_patterns="*.bin"
    )
    monkeypatch.setenv(variable, "1")
    asked = len(hub.log)
    folder = models.model_folder(english)
    assert folder == Path(everything)
    assert len(hub.log) == asked
    weights = (folder / "model.safetensors").resolve()
    raw = bytearray(weights.read_bytes())
    raw[-1] ^= 1
    weights.write_bytes(raw)
    with pytest.raises(Corrupt, match="not the published file"):
        models.model_folder(english)


def test_offline_with_a_part_of_the_files(hub, english, monkeypatch) -> None:
    from huggingface_hub import hf_hub_download

    hf_hub_download(english, "config.json", endpoint=hub.url, cache_dir=hub_files.hub_cache())
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    with pytest.raises(DataUnavailable, match="Only a part of tiny/english-bert is on this machine") as error:
        models.model_folder(english)
    said(error)
    monkeypatch.delenv("COURSE_OFFLINE")
    assert models.model_folder(english).is_dir()


def test_without_a_network_the_cache_of_another_program_serves(hub, english, monkeypatch) -> None:
    from huggingface_hub import snapshot_download

    snapshot_download(english, endpoint=hub.url, cache_dir=hub_files.hub_cache(), ignore_patterns="*.bin")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert models.model_folder(english).is_dir()


def test_no_such_repository(hub) -> None:
    with pytest.raises(DataUnavailable, match=r"does not show no/model \(HTTP 401\)") as error:
        models.model_folder("no/model")
    text = said(error)
    assert hub.url in text and "hf auth login" in text and re.search(DEFAULT, text)
    with pytest.raises(BadInput, match="no name of a repository"):
        models.model_folder("a/b/c")


def test_no_such_revision(hub, english) -> None:
    with pytest.raises(BadInput, match="has no revision 'v9'"):
        models.model_folder(english, revision="v9")


def test_gated_until_the_licence_is_accepted(hub, english_files, monkeypatch) -> None:
    hub.publish("meta/gated", english_files, gated=True)
    with pytest.raises(DataUnavailable, match="meta/gated is gated") as error:
        models.model_folder("meta/gated")
    text = said(error)
    assert f"{hub.url}/meta/gated" in text and "hf auth login" in text and "HF_TOKEN" in text
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert (models.model_folder("meta/gated") / "model.safetensors").is_file()
    sent = {(path.startswith("/cdn/"), authorised) for _, path, _, authorised in hub.log[-6:]}
    assert sent == {(True, False), (False, True)}  # the token stays with the hub
    told = "".join(p.read_text() for p in hub_files.cache_dir("hub").glob("*.json"))
    assert TOKEN not in told


def test_the_token_is_in_no_message(hub, english_files, monkeypatch, hasty) -> None:
    hub.publish("meta/gated", english_files, gated=True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    for where in ("/api/", "/resolve/", "/cdn/"):
        for fault in ((500, {}, b"no"), (403, {}, b"no"), (429, {"Retry-After": "99"}, b""), (404, {}, b"")):
            hub.faults[where].extend([fault] * 20)
            with pytest.raises(DataUnavailable) as error:
                models.model_folder("meta/gated")
            said(error)
            hub.faults.clear()
    assert any(authorised for *_, authorised in hub.log)


def test_a_token_that_is_refused(hub, english, monkeypatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    message = "Invalid credentials in Authorization header"
    hub.faults["/api/"].append((401, {"X-Error-Message": message}, b""))
    with pytest.raises(DataUnavailable, match="does not know the token") as error:
        models.model_folder(english)
    said(error)


@pytest.mark.parametrize("where", ["/api/", "/resolve/", "/cdn/"])
def test_too_many_requests_for_long(hub, english, hasty, where) -> None:
    hub.faults[where].extend([(429, {"Retry-After": "300"}, b"")] * 9)
    with pytest.raises(DataUnavailable, match="asks to wait 5 minutes") as error:
        models.model_folder(english)
    assert "HTTP 429" in said(error)
    assert sum(hasty) < 1
    hub.faults.clear()
    assert models.model_folder(english).is_dir()


@pytest.mark.parametrize("where", ["/api/", "/resolve/", "/cdn/"])
def test_too_many_requests_for_a_moment(hub, english, hasty, where) -> None:
    hub.faults[where].extend([BUSY, BUSY])
    assert models.model_folder(english).is_dir()
    assert 1 <= sum(hasty) <= 5


def test_a_hub_that_never_has_time(hub, english, hasty) -> None:
    hub.faults["/api/"].extend([(429, {"RateLimit": '"api";r=0;t=7'}, b"")] * 99)
    with pytest.raises(DataUnavailable, match="asks to wait 7 s"):
        models.model_folder(english)
    assert sum(hasty) <= 30


def test_a_cut_connection_is_taken_up_again(hub, english, english_files, hasty) -> None:
    hub.faults["/cdn/" + weights_name(english_files)].append(
        11_000_000
    )  # the library writes 10 MiB at a time
    folder = models.model_folder(english)
    assert (folder / "model.safetensors").read_bytes() == english_files["model.safetensors"]
    ranges = [ranged for _, path, ranged, _ in hub.log if weights_name(english_files) in path]
    assert ranges[0] is None and re.fullmatch(r"bytes=[1-9]\d*-", ranges[1])


def weights_name(files: dict[str, bytes]) -> str:
    import hashlib

    return hashlib.sha256(files["model.safetensors"]).hexdigest()


def test_a_connection_that_stays_cut_leaves_nothing_half_written(hub, english, english_files, hasty) -> None:
    hub.faults["/cdn/" + weights_name(english_files)].extend([1000, *[0] * 20])
    with pytest.raises(DataUnavailable, match="did not come from http://127") as error:
        models.model_folder(english)
    assert "Run it again" in said(error)
    root = hub_files.hub_cache()
    assert left_over(root) == [] and list(root.rglob("model.safetensors")) == []
    assert not list(hub_files.cache_dir("hub").glob("*.json"))
    hub.faults.clear()
    whole = models.model_folder(english) / "model.safetensors"
    assert whole.read_bytes() == english_files["model.safetensors"]


def test_other_bytes_than_announced(hub, english, english_files) -> None:
    name = weights_name(english_files)
    hub.blobs[name] = bytes(len(english_files["model.safetensors"]))
    with pytest.raises(Corrupt, match=r"model\.safetensors .* not the published file") as error:
        models.model_folder(english)
    assert "removed, not loaded" in said(error)
    assert list(hub_files.hub_cache().rglob("model.safetensors")) == []
    hub.blobs[name] = english_files["model.safetensors"]
    assert models.model_folder(english).is_dir()


def test_small_files_are_verified_as_well(hub, english, english_files) -> None:
    commit = hub.repos[f"models/{english}"].branches["main"]
    hub.repos[f"models/{english}"].commits[commit] = dict(english_files)
    altered = english_files["config.json"].replace(b'"num_hidden_layers": 2', b'"num_hidden_layers": 1')
    lie = {"X-Repo-Commit": commit, "ETag": '"0123"', "Content-Length": str(len(altered))}
    hub.faults["/config.json"].extend([(200, lie, altered), (200, lie, altered)])
    with pytest.raises(Corrupt, match=r"config\.json"):
        models.model_folder(english)


def test_a_file_altered_on_disk(hub, english) -> None:
    weights = (models.model_folder(english) / "model.safetensors").resolve()
    raw = bytearray(weights.read_bytes())
    raw[-2] ^= 4
    weights.write_bytes(raw)
    with pytest.raises(Corrupt, match="not the published file"):
        models.model_folder(english)
    assert models.model_folder(english).is_dir()  # downloaded anew


def test_weights_as_a_pickle_only(hub, english_files) -> None:
    hub.publish("tiny/pickle", {n: c for n, c in english_files.items() if n != "model.safetensors"})
    with pytest.raises(BadInput, match=r"only pytorch_model\.bin: a pickle") as error:
        models.model_folder("tiny/pickle")
    assert "refs/pr/N" in said(error)
    assert hub.asked("/resolve/") == []
    hub.publish("tiny/none", {"config.json": english_files["config.json"]})
    with pytest.raises(BadInput, match=r"has no model\.safetensors\."):
        models.model_folder("tiny/none")


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_code_of_its_own_is_not_run(hub, english_files, file) -> None:
    own = json.loads(english_files[file]) | {"auto_map": {"AutoModel": "model.Own"}}
    hub.publish(
        "tiny/own", {**english_files, file: json.dumps(own).encode(), "model.py": b"raise SystemExit"}
    )
    with pytest.raises(BadInput, match=rf"auto_map in {file}.* does not run"):
        models.model_folder("tiny/own")
    assert hub.asked("model.py") == []
    assert bool(hub.asked(weights_name(english_files))) == (file != "config.json")


def test_networks_that_are_no_text_encoders(hub, english_files) -> None:
    for name, files, words in (
        ("gpt", {"config.json": b'{"model_type": "gpt2"}'}, "is of type 'gpt2'"),
        ("bare", {"config.json": b'{"model_type": "bert"}'}, "does not say hidden_size, num_hidden_layers"),
        ("list", {"config.json": b"[]"}, "holds no settings"),
        ("broken", {"config.json": b"{"}, "cannot be read"),
    ):
        hub.publish(f"tiny/{name}", {**english_files, **files})
        with pytest.raises((BadInput, Corrupt), match=words):
            models.model_folder(f"tiny/{name}")
    hub.publish("tiny/unconfigured", {n: c for n, c in english_files.items() if n != "config.json"})
    with pytest.raises(BadInput, match=r"has no config\.json"):
        models.model_folder("tiny/unconfigured")
    mute = {n: c for n, c in english_files.items() if n not in ("tokenizer.json", "vocab.txt")}
    hub.publish("tiny/mute", mute)
    with pytest.raises(BadInput, match="has no tokenizer"):
        models.model_folder("tiny/mute")


def test_a_server_that_is_gone(hub, english) -> None:
    hub.shutdown()
    hub.server_close()
    with pytest.raises(DataUnavailable, match=r"did not come from http://127.*ConnectError") as error:
        models.model_folder(english)
    text = said(error)
    assert "HF_ENDPOINT to a mirror" in text and re.search(DEFAULT, text)


@pytest.mark.parametrize(
    ("where", "fault", "words"),
    [
        ("/api/", (503, {}, b""), "out of order: HTTP 503"),
        ("/resolve/", (503, {}, b""), "out of order: HTTP 503"),
        ("/cdn/", (403, {}, b"expired"), r"does not show .*HTTP 403"),
        ("/api/", (200, {"Content-Type": "text/html"}, b"<html>log in</html>"), "does not answer as the hub"),
        ("/resolve/", (200, {"Content-Type": "text/html"}, b"<html>log in</html>"), "does not answer as the"),
    ],
)
def test_servers_that_answer_nonsense(hub, english, hasty, where, fault, words) -> None:
    hub.faults[where].extend([fault] * 30)
    with pytest.raises(DataUnavailable, match=words) as error:
        models.model_folder(english)
    assert hub.url in said(error)


def test_a_mirror_that_answers_with_another_commit(hub, english, english_files) -> None:
    told = json.dumps({"id": english, "sha": "1" * 40, "siblings": []}).encode()
    hub.faults["/api/"].append((200, {"Content-Type": "application/json"}, told))
    with pytest.raises(DataUnavailable, match=r"answers .* with commit '1111"):
        models.model_folder(english, revision="2" * 40)


def test_a_disk_that_does_not_take_it(hub, english, tmp_path, monkeypatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "file"))
    with pytest.raises(DataUnavailable, match="cannot be stored") as error:
        models.model_folder(english)
    assert "HF_HOME" in said(error)


def altered(files: dict[str, bytes], change) -> dict[str, bytes]:
    """Return a repository with other weights."""
    from safetensors.torch import load, save

    state = load(files["model.safetensors"])
    change(state)
    return {**files, "model.safetensors": save(state, metadata={"format": "pt"})}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("bert.encoder.layer.1.output.dense.bias"), "1 are missing .encoder.layer.1.output"),
        (
            lambda s: s.update({"bert.encoder.layer.2.output.dense.bias": s["cls.predictions.bias"].clone()}),
            "1 have no place .*encoder.layer.2",
        ),
        (
            lambda s: s.update(
                {"bert.encoder.layer.1.output.dense.bias": s["cls.predictions.bias"][:5].clone()}
            ),
            "do not fit config.json",
        ),
    ],
)
def test_weights_that_do_not_fit(hub, english_files, change, words) -> None:
    hub.publish("tiny/misfit", altered(english_files, change))
    with pytest.raises(BadInput, match=words):
        models.load(models.model_folder("tiny/misfit"))


def test_weights_that_are_no_safetensors(hub, english_files) -> None:
    hub.publish("tiny/junk", {**english_files, "model.safetensors": b"\x80\x02" * 200_000})
    with pytest.raises(Corrupt, match="cannot be read"):
        models.load(models.model_folder("tiny/junk"))


def test_tokenizers_that_do_not_work(hub, english_files) -> None:
    bare = {n: c for n, c in english_files.items() if n != "tokenizer.json"}
    hub.publish("tiny/words", {**bare, "vocab.txt": b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nzebra\n"})
    with pytest.raises(BadInput, match="its vocabulary did not load"):
        models.load(models.model_folder("tiny/words"))
    hub.publish("tiny/vocabulary", bare)  # vocab.txt alone, as old repositories have it
    _, tokenizer = models.load(models.model_folder("tiny/vocabulary"))
    assert tokenizer.tokenize("Hello world") == ["hello", "world"]
    config = json.loads(english_files["config.json"]) | {"vocab_size": 7000}
    hub.publish("tiny/narrow", {**english_files, "config.json": json.dumps(config).encode()})
    with pytest.raises(BadInput):
        models.load(models.model_folder("tiny/narrow"))


def test_loading_says_nothing(hub, english, capfd) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        models.load(models.model_folder(english))
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def test_the_library_is_left_as_it_was(hub, english) -> None:
    import logging

    from huggingface_hub import constants, get_session

    before = (
        constants.HF_HUB_DISABLE_TELEMETRY,
        logging.getLogger("huggingface_hub").level,
        len(get_session().event_hooks["response"]),
    )
    models.model_folder(english)
    after = (
        constants.HF_HUB_DISABLE_TELEMETRY,
        logging.getLogger("huggingface_hub").level,
        len(get_session().event_hooks["response"]),
    )
    assert before == after
    assert hub.asked("agent") == []  # nobody is told about this machine


def test_a_record_that_cannot_be_read_is_made_anew(hub, english) -> None:
    folder = models.model_folder(english)
    record = next(hub_files.cache_dir("hub").glob("*@main.json"))
    good = record.read_text()
    for bad in ("", "{", "[]", '{"commit": 1}', '{"commit": "x", "files": {"config.json": {"size": 1}}}'):
        record.write_text(bad)
        assert models.model_folder(english) == folder
        assert record.read_text() == good


def test_a_cache_that_was_emptied_is_filled_again_with_the_same(hub, english) -> None:
    folder = models.model_folder(english)
    shutil.rmtree(hub_files.hub_cache())
    assert models.model_folder(english) == folder
    assert (folder / "model.safetensors").is_file()
