"""One pass through the network gives what three calls give, and leaves nothing behind."""

import numpy as np
import pytest

from course_lib import encoders, methods
from course_lib.errors import BadInput
from course_lib.methods.classifier import FeatureClassifier, Origin
from course_lib.methods.probe import LinearHead


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def probe(cache):
    encoder = encoders.imagenet(64)
    rng = np.random.default_rng(0)
    head = LinearHead(rng.normal(size=(encoder.dim, 4)).astype(np.float32), np.zeros(4, np.float32))
    return FeatureClassifier("probe", Origin("made", tuple("abcd"), range(9)), encoder, head, seconds={})


@pytest.mark.parametrize("channels", [1, 3])
def test_it_agrees_with_the_three_calls(probe, cache, channels):
    x = np.random.default_rng(1).integers(0, 256, (3, 20, 24, channels)).astype(np.uint8)
    before = x.copy()
    seen = methods.look(probe, x)
    assert not list(cache.rglob("*")), "a picture of one's own leaves no trace"
    assert (x == before).all()
    assert np.allclose(seen.features, probe.encoder.encode(x, cache=False), atol=1e-4)
    assert np.allclose(seen.probabilities, probe.predict_proba(x), atol=1e-4)
    assert np.allclose(seen.evidence, methods.grad_cam(probe, x), atol=1e-4)
    assert seen.evidence.shape == (3, 2, 2) and seen.features.dtype == np.float32


def test_heads_and_encoders_without_maps_are_refused(probe):
    x = np.zeros((1, 20, 20, 3), np.uint8)
    several = FeatureClassifier(
        "probe",
        Origin("made", tuple("abcd"), range(9)),
        encoders.imagenet(64, layers="several"),
        probe.head,
        seconds={},
    )
    with pytest.raises(BadInput, match="not the average of one layer"):
        methods.look(several, x)
    probe.head = object()
    with pytest.raises(BadInput, match="not linear"):
        methods.look(probe, x)
