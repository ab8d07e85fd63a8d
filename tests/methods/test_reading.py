"""One sentence is read as the classifier reads many, quietly, and nothing of it is kept."""

import warnings

import numpy as np
import pytest

from course_lib import encoders, methods, tasks
from course_lib.errors import BadInput


@pytest.fixture(scope="module")
def probe():
    return methods.linear_probe(encoders.english_bert(), tasks.topics("en").subset(64))


def test_it_reads_as_among_many(probe):
    text = "The doctor told me to take this medicine."
    got = methods.read_sentence(probe, text)
    others = np.array([text, "I would like a cup of tea."])
    features = probe.encoder.encode(others, cache=False)
    assert np.allclose(got.features, features[0], atol=1e-5)
    assert np.allclose(got.probabilities, probe.head.predict_proba(features)[0], atol=1e-4)
    cosine = got.cosine(features)
    assert cosine[0] == pytest.approx(1, abs=1e-5)
    assert cosine[1] == pytest.approx(
        features[0] @ features[1] / np.linalg.norm(features[0]) / np.linalg.norm(features[1]), abs=1e-5
    )


def test_an_aligned_encoder_is_read_through_its_map(probe):
    english = tasks.topics("en").subset(64)
    moved = methods.centring(probe, english.train, english.validation)
    plain, got = (methods.read_sentence(one, "I like tea.") for one in (probe, moved))
    offset = probe.encoder.encode(english.train).mean(0) - probe.encoder.encode(english.validation).mean(0)
    assert np.allclose(got.features - plain.features, offset, atol=1e-5)


def test_nothing_is_kept_and_nothing_is_warned_of(probe, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        methods.read_sentence(probe, "他今天没有来上班，因为他病了。")
    assert list(tmp_path.rglob("*.npy")) == []
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_what_has_no_encoder_is_refused():
    class Bare:
        encoder = None

    with pytest.raises(BadInput, match="Bare has no encoder and head"):
        methods.read_sentence(Bare(), "I like tea.")


def test_other_columns_are_refused(probe):
    got = methods.read_sentence(probe, "I like tea.")
    with pytest.raises(BadInput, match=r"shape \(2, 3\); expected \(n, 384\)"):
        got.cosine(np.zeros((2, 3)))
