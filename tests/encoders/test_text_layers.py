"""Layers of a sentence encoder: one pass, and the same numbers as one by one."""

from __future__ import annotations

import numpy as np

from course_lib import encoders

TEXTS = ["The weather is fine.", "Grandpa is very old, and he likes tea.", "Goodbye!"]


def test_every_layer_is_that_of_an_encoder_of_its_own() -> None:
    encoder = encoders.english_bert()
    layers = encoders.text_layers(encoder)
    assert [view.layer for view in layers.values()] == list(range(7))
    for view in layers.values():
        alone = encoders.english_bert(layer=view.layer).encode(TEXTS, cache=False)
        np.testing.assert_allclose(view.encode(TEXTS), alone, atol=2e-6)
    np.testing.assert_allclose(layers["layer 6"].encode(TEXTS), encoder.encode(TEXTS), atol=2e-6)
    first, second = (layers[name].encode(TEXTS) for name in ("embeddings", "layer 1"))
    assert np.abs(first - second).max() > 0.1


def test_one_pass_serves_all() -> None:
    layers = encoders.text_layers(encoders.english_bert(pooling="cls"))
    layers["layer 2"].encode(TEXTS)
    assert layers["layer 2"].last is not None and layers["layer 2"].last.computed == 3
    layers["layer 5"].encode(TEXTS)
    assert layers["layer 5"].last is not None and layers["layer 5"].last.from_cache
    assert layers["embeddings"].name == "all-minilm-l6-v2, embeddings"
