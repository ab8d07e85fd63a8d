"""Networks cut short: the whole network's own states at that layer, with less computed."""

from __future__ import annotations

import numpy as np
import pytest

from course_lib import encoders
from course_lib.errors import BadInput

TEXTS = np.array(
    ["Where is the library?", "He drinks tea.", "It rains, so we stay at home and read."], object
)


@pytest.fixture(scope="module")
def bert():
    return encoders.english_bert()


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 40, 40, 3), np.uint8)


@pytest.mark.parametrize("layers", [1, 2, 5])
def test_the_first_layers_are_the_hidden_states_of_the_whole(bert, layers) -> None:
    short = encoders.shortened(bert, layers)
    assert short.depth == layers and short.dim == bert.dim
    found, whole = (e.encode(TEXTS, cache=False) for e in (short, bert.with_layer(layers)))
    assert np.array_equal(found, whole)
    assert not np.allclose(found, bert.encode(TEXTS, cache=False), atol=1e-3)


def test_every_second_layer_is_those_layers_one_after_the_other(bert) -> None:
    import torch

    short = encoders.shortened(bert, range(0, 6, 2))
    batch = bert.tokenizer(list(TEXTS[:1]), return_tensors="pt", return_token_type_ids=False)
    with torch.no_grad():
        states = bert.model.embeddings(batch["input_ids"])
        for k in (0, 2, 4):
            states = bert.model.encoder.layer[k](states)
            states = states[0] if isinstance(states, tuple) else states
    found = short.encode(TEXTS[:1], cache=False)
    assert np.abs(found[0] - states[0].mean(dim=0).numpy()).max() < 1e-5
    assert np.abs(found - encoders.shortened(bert, 3).encode(TEXTS[:1], cache=False)).max() > 0.01


def test_weights_are_shared_and_the_whole_stays_whole(bert) -> None:
    short = encoders.shortened(bert, 2)
    assert len(short.model.encoder.layer) == 2 and len(bert.model.encoder.layer) == 6
    assert short.model.config.num_hidden_layers == 2 and bert.model.config.num_hidden_layers == 6
    ours, theirs = (e.model.encoder.layer[1].output.dense.weight for e in (short, bert))
    assert ours.data_ptr() == theirs.data_ptr()
    each = sum(p.numel() for p in bert.model.encoder.layer[0].parameters())
    assert short.parameters == bert.parameters - 4 * each


def test_each_has_features_of_its_own_in_the_cache(bert) -> None:
    cuts = [2, 3, [0, 2], [0, 2, 4], [1, 2]]
    keys = {encoders.shortened(bert, cut).key for cut in cuts} | {bert.key, bert.with_layer(2).key}
    assert len(keys) == len(cuts) + 2
    assert encoders.shortened(bert, [0, 1]).key == encoders.shortened(bert, 2).key
    assert encoders.shortened(bert, 6) is bert
    kept = encoders.shortened(bert, 2)
    assert np.array_equal(kept.encode(TEXTS), encoders.shortened(bert, 2).encode(TEXTS))
    assert not np.allclose(encoders.shortened(bert, [1, 2]).encode(TEXTS), kept.encode(TEXTS), atol=1e-3)


@pytest.mark.parametrize("layers", [0, 7, -1, True, "block3", [], [1, 1], [2, 0], [0, 6], [0.5], None])
def test_layers_that_there_are_not(bert, layers) -> None:
    with pytest.raises(BadInput, match="0 to 5"):
        encoders.shortened(bert, layers)


def test_a_shorter_network_is_read_at_its_end(bert) -> None:
    for layer in (3, "all"):
        with pytest.raises(BadInput, match="read at its own end"):
            encoders.shortened(bert.with_layer(layer), 2)
    with pytest.raises(BadInput, match="no network"):
        encoders.shortened(encoders.by_layer(64)["head"], 2)


@pytest.mark.parametrize("block", ["block10", "block14"])
def test_up_to_a_block_is_that_layer_of_the_whole(pictures, block) -> None:
    whole = encoders.imagenet(64)
    short = encoders.shortened(whole, block)
    assert np.array_equal(
        short.encode(pictures, cache=False), encoders.by_layer(64)[block].encode(pictures, cache=False)
    )
    assert short.key != whole.key and short.parameters < whole.parameters


def test_what_stands_behind_the_block_is_in_no_model(pictures) -> None:
    short = encoders.shortened(encoders.imagenet(64), "block6")
    names = [layer.name for layer in short.model.layers]
    assert names[-2:] == ["block6_depthwise_relu", "features"] and "block7_expand" not in names
    assert "block6_project" not in names and "head" not in names
    features = short.model(np.float32(np.zeros((1, 64, 64, 3))), training=False)
    assert features.shape == (1, short.dim)
    maps = short.maps(pictures[:2])
    assert np.abs(maps.mean(axis=(1, 2)) - short.encode(pictures[:2], cache=False)).max() < 1e-4


def test_blocks_that_there_are_not(pictures) -> None:
    whole = encoders.imagenet(64)
    for block in ("block16", "block0", "head", 3, None):
        with pytest.raises(BadInput, match="block15"):
            encoders.shortened(whole, block)
    short = encoders.shortened(whole, "block10")
    with pytest.raises(BadInput, match="whole network"):
        encoders.shortened(short, "block14")
    with pytest.raises(BadInput, match="whole network"):
        encoders.shortened(encoders.imagenet(64, layers="several"), "block10")
    for ask in (short.classify, short.source_probabilities):
        with pytest.raises(BadInput, match="classifier"):
            ask(pictures)
