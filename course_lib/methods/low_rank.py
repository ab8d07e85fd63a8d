"""Fine-tuning few parameters of many: low-rank terms beside the matrices (LoRA), or the biases (BitFit)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from course_lib.encoders.text import TextEncoder
from course_lib.errors import BadInput
from course_lib.methods.body_torch import TextBody
from course_lib.methods.classifier import FeatureClassifier
from course_lib.methods.fine_tune_torch import TextFineTuned, device_of, fit
from course_lib.methods.recipe_torch import EMBEDDINGS, TextRecipe
from course_lib.methods.tuned import class_weight_setting
from course_lib.tasks.task import Split, Task


def lora(
    encoder: TextEncoder,
    task: Task,
    *,
    rank: int = 8,
    alpha: float = 16.0,
    targets: Sequence[str] = ("query", "value"),
    learning_rate: float = 1e-3,
    freeze_to: str | int | None = EMBEDDINGS,
    init: str | FeatureClassifier = "probe",
    epochs: int = 3,
    validation: Split | None = None,
    checkpoint: str | Path | None = None,
    name: str = "LoRA",
    **settings: Any,
) -> TextFineTuned:
    r"""Fine-tune low-rank terms beside some matrices of a sentence encoder, and the last layer.

    .. math:: W = W_0 + \tfrac{\alpha}{r} B A, \qquad B \in \mathbb{R}^{d \times r},
              A \in \mathbb{R}^{r \times d}

    B starts at zero, so that training begins at the published network. The terms are `peft`'s in training and
    are added to the matrices afterwards: prediction costs what it did before. The new last layer is part of
    what is learnt; adapters that are saved without it come back with a random one.

    Parameters
    ----------
    encoder : TextEncoder
    task : Task
    rank : int
        r.
    alpha : float
        α.
    targets : sequence of str
        Which matrices of each layer: ``"query"``, ``"key"``, ``"value"``, ``"dense"``, or a longer end of
        their names, as ``"output.dense"``.
    learning_rate : float
        An order above that of all weights: the terms start small.
    freeze_to, init, epochs, validation, checkpoint, name
        As in `fine_tune`.
    **settings
        The others of `fine_tune`: ``batch_size``, ``seed`` and so on.

    Returns
    -------
    TextFineTuned
        ``.low_rank`` holds the terms; `methods.save` writes these and the last layer, under a megabyte.

    Raises
    ------
    BadInput
        As `fine_tune`, and for matrices that there are not.

    References
    ----------
    Hu et al. (2022), "LoRA: low-rank adaptation of large language models", ICLR.
    """
    recipe = _recipe(
        settings,
        init,
        trains="low rank",
        rank=rank,
        alpha=alpha,
        targets=(targets,) if isinstance(targets, str) else tuple(targets),
        learning_rate=learning_rate,
        freeze_to=freeze_to,
        epochs=epochs,
    )
    return fit(encoder, task, recipe, init=init, validation=validation, checkpoint=checkpoint, name=name)


def bitfit(
    encoder: TextEncoder,
    task: Task,
    *,
    learning_rate: float = 1e-3,
    freeze_to: str | int | None = EMBEDDINGS,
    init: str | FeatureClassifier = "probe",
    epochs: int = 3,
    validation: Split | None = None,
    checkpoint: str | Path | None = None,
    name: str = "BitFit",
    **settings: Any,
) -> TextFineTuned:
    """Fine-tune the biases of a sentence encoder, and the last layer.

    Parameters
    ----------
    encoder : TextEncoder
    task : Task
    learning_rate : float
        An order above that of all weights.
    freeze_to, init, epochs, validation, checkpoint, name
        As in `fine_tune`.
    **settings
        The others of `fine_tune`: ``batch_size``, ``seed`` and so on.

    Returns
    -------
    TextFineTuned

    Raises
    ------
    BadInput
        As `fine_tune`.

    References
    ----------
    Ben Zaken, Goldberg & Ravfogel (2022), "BitFit: simple parameter-efficient fine-tuning for
    transformer-based masked language-models", ACL.
    """
    recipe = _recipe(
        settings,
        init,
        trains="biases",
        learning_rate=learning_rate,
        freeze_to=freeze_to,
        epochs=epochs,
    )
    return fit(encoder, task, recipe, init=init, validation=validation, checkpoint=checkpoint, name=name)


_OTHERS = (
    "batch_size",
    "depth_decay",
    "warmup",
    "weight_decay",
    "label_smoothing",
    "dropout",
    "class_weight",
    "patience",
    "precision",
    "cache_trunk",
    "device",
    "seed",
)


def _recipe(settings: dict[str, Any], init: str | FeatureClassifier, **own: Any) -> TextRecipe:
    unknown = sorted(set(settings) - set(_OTHERS))
    if unknown:
        raise BadInput(f"{unknown[0]} is no setting here.", f"There are also: {', '.join(_OTHERS)}.")
    settings["device"] = device_of(settings.get("device"))
    settings["class_weight"] = class_weight_setting(settings.get("class_weight"))
    return TextRecipe(**settings, init=init if isinstance(init, str) else "probe", **own)


def with_terms(body: TextBody, recipe: TextRecipe) -> TextBody:
    """Put peft's low-rank terms beside the matrices of a body's upper part.

    Raises
    ------
    BadInput
        When no matrix has such a name.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    linear = [name for name, m in body.upper.named_modules() if isinstance(m, torch.nn.Linear)]
    for target in recipe.targets:
        if not any(name.endswith(f".{target}") for name in linear):
            known = dict.fromkeys(name.rpartition(".")[2] for name in linear)
            raise BadInput(f"targets: no matrix is called {target!r}.", f"Choose among {', '.join(known)}.")
    config = LoraConfig(
        r=recipe.rank, lora_alpha=recipe.alpha, target_modules=list(recipe.targets), lora_dropout=0.0
    )
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by a name that it will drop
        torch.manual_seed(recipe.seed)
        body.upper = get_peft_model(body.upper, config).to(body.device)
    return body
