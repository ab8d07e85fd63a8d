"""EfficientNet-Lite0 in Keras against an independent forward pass in PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_sample_image

from course_lib import encoders
from course_lib.encoders import efficientnet_lite as lite
from course_lib.encoders.packaged import weights_file

# repeats, kernel, stride, expansion, filters: from the published description, not from the code under test
LITE0 = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    return torch.load(weights_file("efficientnet-lite0"), weights_only=True)


def same(x: torch.Tensor, weight: torch.Tensor, stride: int, groups: int) -> torch.Tensor:
    """TensorFlow's `same` padding: what is odd goes to the right and below."""
    pads = []
    for size, kernel in zip(reversed(x.shape[2:]), reversed(weight.shape[2:]), strict=True):
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        pads += [total // 2, total - total // 2]
    return F.conv2d(F.pad(x, pads), weight, stride=stride, groups=groups)


def forward(pictures: np.ndarray, state: dict[str, torch.Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """Return pooled features and logits of pictures ``(n, h, w, 3)`` 0..255."""

    def layer(x, conv, norm, stride=1, depthwise=False, act=True):
        weight = state[f"{conv}.weight"]
        x = same(x, weight, stride, weight.shape[0] if depthwise else 1)
        stats = (state[f"{norm}.{what}"] for what in ("running_mean", "running_var", "weight", "bias"))
        x = F.batch_norm(x, *stats, training=False, eps=1e-3)
        return F.relu6(x) if act else x

    with torch.inference_mode():
        x = (torch.from_numpy(pictures).permute(0, 3, 1, 2).float() - 127) / 128
        x = layer(x, "_conv_stem", "_bn0", stride=2)
        number = 0
        for repeats, _, stride, expansion, _ in LITE0:
            for repeat in range(repeats):
                start, name = x, f"_blocks.{number}."
                if expansion > 1:
                    x = layer(x, f"{name}_expand_conv", f"{name}_bn0")
                step = stride if repeat == 0 else 1
                x = layer(x, f"{name}_depthwise_conv", f"{name}_bn1", step, depthwise=True)
                x = layer(x, f"{name}_project_conv", f"{name}_bn2", act=False)
                x = x + start if x.shape == start.shape else x
                number += 1
        pooled = layer(x, "_conv_head", "_bn1").mean(dim=(2, 3))
        logits = F.linear(pooled, state["_fc.weight"], state["_fc.bias"])
    return pooled.numpy(), logits.numpy()


@pytest.mark.parametrize("pixels", [64, 99, 224])
def test_equals_the_original_network(published, pixels) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (4, pixels, pixels, 3), dtype=np.uint8)
    features, logits = forward(pictures, published)
    state = {name: tensor.numpy() for name, tensor in published.items()}
    model = lite.build(pixels, state, classify=True)
    ours = np.asarray(model(pictures.astype(np.float32), training=False))
    assert np.abs(ours - logits).max() < 1e-4 * np.abs(logits).max()
    encoded = encoders.imagenet(pixels).encode(pictures, cache=False)
    assert np.abs(encoded - features).max() < 1e-4 * np.abs(features).max()
    # the check can fail: a padding that is symmetric, as PyTorch's own would be, is another network
    shifted, _ = forward(np.roll(pictures, 1, axis=1), published)
    assert np.abs(encoded - shifted).max() > 1e-2 * np.abs(features).max()


def test_sees_what_is_in_real_photographs() -> None:
    """ImageNet class 442 is a bell cote, 985 a daisy."""
    encoder = encoders.imagenet(224)
    for name, expected in (("china.jpg", 442), ("flower.jpg", 985)):
        classes, probabilities = encoder.classify(load_sample_image(name)[None], top=3)
        assert classes[0, 0] == expected
        assert probabilities[0, 0] > probabilities[0, 1] > 0


def test_the_trainable_model_gives_the_frozen_features() -> None:
    pictures = np.random.default_rng(1).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    for layers in ("last", "several"):
        encoder = encoders.imagenet(64, layers=layers)
        model = np.asarray(encoder.model(pictures.astype(np.float32), training=False))
        frozen = encoder.encode(pictures, cache=False)
        assert model.shape == frozen.shape == (3, encoder.dim)
        assert np.abs(model - frozen).max() < 1e-4 * np.abs(frozen).max()


def test_several_layers_hold_the_last_one() -> None:
    pictures = np.random.default_rng(2).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    last = encoders.imagenet(64).encode(pictures, cache=False)
    several = encoders.imagenet(64, layers="several").encode(pictures, cache=False)
    assert np.allclose(several[:, -lite.FEATURES :], last, atol=1e-5)


def test_random_weights_share_the_shape_and_nothing_else() -> None:
    pictures = np.random.default_rng(3).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    trained, blank = encoders.imagenet(64), encoders.imagenet(64, weights="random")
    assert trained.key != blank.key
    assert trained.parameters == blank.parameters
    a, b = (e.encode(pictures, cache=False) for e in (trained, blank))
    assert np.isfinite(b).all()
    assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.5
    again = encoders.imagenet(64, weights="random").encode(pictures, cache=False)
    assert np.array_equal(b, again)
