"""The long run of notebook 10: every way to Chinese beside what it needs, seed by seed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np

from course_lib.encoders.text import TextEncoder
from course_lib.methods.classifier import Classifier, FeatureClassifier
from course_lib.methods.probe import LinearHead
from course_lib.tasks import ParallelSentences, Split, Task, parallel_sentences, topics

SEEDS = (0, 1, 2)
PAIRS = (16, 64, 256, 1024)
LABELS = (32, 160)
RIDGES = (0.0, 1.0, 10.0, 100.0)
FEW_STEPS = 100
FEW_BATCH = 16
FEW_RATE = 1e-4
"""Of fine-tuning with few labels: gentler than by default, as nothing could choose it. LoRA and BitFit have
their own."""

STARTS = ("random", "overlap", "glosses")
VOCABULARY_RATE = 1e-3
"""Of 1e-4 and 1e-3, held-out guessing and the retrieval of held-out pairs liked this best."""


FEW = ("few: pulled probe", "few: LP-FT", "few: LoRA", "few: BitFit")

_QUICK: list[dict[str, Any]] = [
    *({"method": "Procrustes", "pairs": pairs} for pairs in PAIRS),
    *({"method": method, "labels": labels} for labels in LABELS for method in FEW),
    *({"method": "new vocabulary", "start": start, "learnt": False} for start in STARTS),
]
_SLOW: list[dict[str, Any]] = [
    {"method": "fine-tuning"},
    {"method": "continued MLM"},
    {"method": "translate-train"},
    {"method": "new vocabulary", "start": "glosses", "learnt": True},
]
_CONTROLS: list[dict[str, Any]] = [
    {"method": "translate-train, both"},
    {"method": "continued MLM, English"},
    *({"method": "new vocabulary", "start": start, "learnt": True} for start in ("random", "overlap")),
    {"method": "translate-train, LoRA"},
    {"method": "translate-train, BitFit"},
]


def settings() -> Iterator[dict[str, Any]]:
    """Yield a method, its own number or start, and the seed; what has no randomness is done once.

    A run that is cut off should say something of everything, then more of what matters: all methods with the
    first seed, then the other seeds, quick ones before slow ones and controls last.
    """
    first, *others = SEEDS
    for method in ("probe", "no prefix", "centring", "CORAL", "translated probe", "English BERT"):
        yield {"method": method, "seed": first}
    for kinds in (_QUICK, _SLOW, _CONTROLS):
        yield from ({**kind, "seed": first} for kind in kinds)
    for kinds in (_QUICK, _SLOW, _CONTROLS):
        for seed in others:
            yield from ({**kind, "seed": seed} for kind in kinds)


@dataclass(frozen=True)
class Adapted:
    """What a method came to, and what it took.

    Parameters
    ----------
    chinese, english : Classifier
        Who reads which language. Two where the method changes the reading of Chinese alone.
    labels, pairs, raw : int
        Chinese labels, translation pairs and raw Chinese sentences that were used.
    seconds : float
        Of all that was done after the English probe was there.
    parameters : int
        Numbers that were fitted, beyond the English probe.
    more : dict
        Whatever else is worth writing down.
    """

    chinese: Classifier
    english: Classifier
    seconds: float
    parameters: int
    labels: int = 0
    pairs: int = 0
    raw: int = 0
    more: dict[str, Any] | None = None


def work(setting: dict[str, Any]) -> dict[str, Any]:
    """Adapt by one method and return the scores in both languages, and what they cost.

    Everything is chosen on validation that the method may see: English labels for what knows no Chinese
    label, a share of the Chinese ones for what has some, pairs for what has pairs. The test is read once.
    """
    from course_lib.methods.body_torch import forget_bodies

    forget_bodies()
    adapted = _METHODS[setting["method"]](setting)
    found = {
        "English": _accuracy(adapted.english, topics("en")),
        "Chinese": _accuracy(adapted.chinese, topics("zh")),
        "Chinese labels": adapted.labels,
        "pairs": adapted.pairs,
        "raw": adapted.raw,
        "seconds": adapted.seconds,
        "parameters": adapted.parameters,
        **(adapted.more or {}),
    }
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in found.items()}


def _accuracy(classifier: Classifier, task: Task) -> float:
    return float(np.mean(classifier.predict(task.test) == task.test.y))


@cache
def _multilingual(prefix: bool = True) -> tuple[TextEncoder, FeatureClassifier]:
    """Return the encoder and the English probe that everything begins with."""
    from course_lib import encoders, methods

    encoder = encoders.multilingual_bert() if prefix else encoders.multilingual_bert(prefix="")
    return encoder, methods.linear_probe(encoder, topics("en"))


@cache
def _english() -> tuple[TextEncoder, FeatureClassifier]:
    from course_lib import encoders, methods

    encoder = encoders.english_bert()
    return encoder, methods.linear_probe(encoder, topics("en"))


@cache
def _pairs(part: str) -> ParallelSentences:
    return parallel_sentences().part(part)


def _both_languages() -> Task:
    """Return the topics with each sentence twice: as it is, and translated."""
    english, chinese = topics("en"), topics("zh")

    def joined(a: Split, b: Split) -> Split:
        ids = np.concatenate([np.char.add("en-", a.ids), np.char.add("zh-", b.ids)])
        return replace(
            a, x=np.concatenate([a.x, b.x]), y=np.concatenate([a.y, b.y]), ids=ids, domain="both languages"
        )

    return replace(
        english,
        name="topics/both",
        train=joined(english.train, chinese.train),
        validation=joined(english.validation, chinese.validation),
    )


def _as_it_is(setting: dict[str, Any]) -> Adapted:
    encoder, probe = (
        _english() if setting["method"] == "English BERT" else _multilingual(setting["method"] == "probe")
    )
    return Adapted(probe, probe, 0.0, 0, more={"unknown": encoder.unknown_share(topics("zh").test.x)})


def _moved(setting: dict[str, Any]) -> Adapted:
    """Centring and CORAL: raw text of both languages, a closed form."""
    from course_lib import methods

    _, probe = _multilingual()
    source, target = topics("en").train, topics("zh").train
    method = {"centring": methods.centring, "CORAL": methods.coral}[setting["method"]]
    aligned = method(probe, source, target)
    return Adapted(aligned, probe, aligned.seconds["fit"], aligned.parameters_trained, raw=len(target))


def _rotated(setting: dict[str, Any]) -> Adapted:
    """Procrustes, its ridge chosen by the retrieval of held-out pairs."""
    from course_lib import measure, methods

    encoder, probe = _multilingual()
    held, pairs = _pairs("validation"), _pairs("train")
    english, *_ = (
        encoder.encode(side) for side in (held.english, held.chinese, pairs.english, pairs.chinese)
    )  # kept: what is timed is the closed form and the choice, as for the other closed forms
    start = time.perf_counter()

    def fitted(ridge: float) -> FeatureClassifier:
        options = {"pairs": setting["pairs"], "seed": setting["seed"], "ridge": ridge}
        return methods.procrustes(probe, pairs.english, pairs.chinese, **options)

    def found(one: FeatureClassifier) -> float:
        return measure.retrieval(one.encoder.encode(held.chinese), english, same=held.english).accuracy.value

    ridge = max(RIDGES, key=lambda ridge: found(fitted(ridge)))
    aligned = fitted(ridge)
    spent = time.perf_counter() - start
    return Adapted(
        aligned,
        probe,
        spent,
        aligned.parameters_trained,
        pairs=setting["pairs"] + len(held),
        more={"ridge": ridge, "fit": aligned.seconds["fit"]},
    )


def _few(setting: dict[str, Any]) -> Adapted:
    """Few Chinese labels: from the English probe, pulled to it; then the network as well, or a part of it."""
    from course_lib import methods

    encoder, probe = _multilingual()
    few = topics("zh").subset(setting["labels"], seed=setting["seed"])
    n = len(few.train)
    options: dict[str, Any] = {
        "batch_size": FEW_BATCH,
        "epochs": max(1, FEW_STEPS // -(-n // FEW_BATCH)),
        "seed": setting["seed"],
    }
    head = probe.head
    assert isinstance(head, LinearHead)
    start = time.perf_counter()
    pulled = methods.pulled_probe(encoder, few, toward=head)
    tune = {
        "few: pulled probe": None,
        "few: LP-FT": partial(methods.fine_tune, learning_rate=FEW_RATE),
        "few: LoRA": methods.lora,
        "few: BitFit": methods.bitfit,
    }[setting["method"]]
    adapted: Any = tune(encoder, few, init=pulled, **options) if tune else pulled
    spent = time.perf_counter() - start
    epoch = adapted.chosen["epoch"] if tune else None
    size = adapted.parameters_trained
    return Adapted(adapted, adapted, spent, size, n + len(few.validation), more={"epoch": epoch})


def _tuned(setting: dict[str, Any]) -> Adapted:
    """Fine-tuning on English, on its translation, or on both."""
    from course_lib import methods

    encoder, probe = _multilingual()
    taught, _, how = setting["method"].partition(", ")
    translated = taught == "translate-train"
    task = _both_languages() if how == "both" else topics("zh" if translated else "en")
    tune = {"LoRA": methods.lora, "BitFit": methods.bitfit}.get(how, methods.fine_tune)
    start = time.perf_counter()
    tuned = tune(encoder, task, init="probe" if translated else probe, seed=setting["seed"])
    spent = time.perf_counter() - start
    used = len(topics("zh").train) + len(topics("zh").validation) if translated else 0
    size = tuned.parameters_trained
    more: dict[str, Any] = {"epoch": tuned.chosen["epoch"]}
    if not translated:
        reader = FeatureClassifier("fine-tuned", task, tuned.encoder, tuned.head, seconds=tuned.seconds)
        more["centred"] = _accuracy(methods.centring(reader, task.train, topics("zh").train), topics("zh"))
    return Adapted(tuned, tuned, spent, size, pairs=used, more=more)


def _translated(setting: dict[str, Any]) -> Adapted:
    from course_lib import methods

    task = topics("zh")
    start = time.perf_counter()
    probe = methods.linear_probe(_multilingual()[0], task)
    spent = time.perf_counter() - start
    return Adapted(
        probe, probe, spent, probe.parameters_trained, pairs=len(task.train) + len(task.validation)
    )


def _pretrained(setting: dict[str, Any]) -> Adapted:
    """Go on guessing words in raw text, then fit the English probe anew; in English text as a control."""
    from course_lib import measure, methods

    encoder, _ = _multilingual()
    control = setting["method"] == "continued MLM, English"
    pairs, held = _pairs("train"), _pairs("validation")
    raw, judge = (pairs.english, held.english) if control else (pairs.chinese, held.chinese)
    start = time.perf_counter()
    learnt = methods.continued_mlm(encoder, raw, validation=judge, seed=setting["seed"])
    probe = methods.linear_probe(learnt.encoder, topics("en"))
    spent = time.perf_counter() - start
    centred = methods.centring(probe, topics("en").train, topics("zh").train)
    apart = [
        measure.alignment_and_uniformity(one.encode(held.english), one.encode(held.chinese)).between
        for one in (encoder, learnt.encoder)
    ]
    more = {
        "centred": _accuracy(centred, topics("zh")),
        "between": [round(share, 4) for share in apart],
        "guessed": [round(epoch["validation_accuracy"], 4) for epoch in learnt.history],
        "epoch": learnt.epoch,
    }
    used = 0 if control else len(raw) + len(judge)
    return Adapted(probe, probe, spent, learnt.parameters_trained, raw=used, more=more)


@cache
def _mlm_head() -> Any:
    from course_lib import methods

    return methods.mlm_head(_english()[0], _pairs("train").english, validation=_pairs("validation").english)


def _reworded(setting: dict[str, Any]) -> Adapted:
    """Chinese words for the English BERT, whose body and classifier stay as they are."""
    from course_lib import measure, methods, tasks

    encoder, probe = _english()
    pairs, held, test = (_pairs(part) for part in ("train", "validation", "test"))
    options: dict[str, Any] = {}
    if setting["learnt"]:
        options = {"epochs": 4, "validation": held.chinese, "learning_rate": VOCABULARY_RATE}
        options["head"] = _mlm_head()
    start = time.perf_counter()
    vocabulary = methods.new_vocabulary(
        encoder,
        pairs.chinese,
        glosses=tasks.glosses(pairs),
        start=setting["start"],
        seed=setting["seed"],
        **options,
    )
    spent = time.perf_counter() - start
    carried = methods.carried_over(probe, vocabulary)
    back = measure.retrieval(
        vocabulary.encoder.encode(test.chinese), encoder.encode(test.english), same=test.english
    )
    more = {
        "retrieval": back.accuracy.value,
        "guessed": [round(epoch["validation_accuracy"], 4) for epoch in vocabulary.history],
        "starts": {name: round(share, 4) for name, share in vocabulary.start_shares.items()},
        "unknown": vocabulary.encoder.unknown_share(topics("zh").test.x),
        "body moved": vocabulary.audit.moved,
    }
    raw = len(pairs) + (len(held) if setting["learnt"] else 0)
    return Adapted(carried, probe, spent, vocabulary.parameters_trained, raw=raw, more=more)


_METHODS: dict[str, Callable[[dict[str, Any]], Adapted]] = {
    "probe": _as_it_is,
    "no prefix": _as_it_is,
    "English BERT": _as_it_is,
    "centring": _moved,
    "CORAL": _moved,
    "Procrustes": _rotated,
    **dict.fromkeys(FEW, _few),
    "fine-tuning": _tuned,
    "translate-train": _tuned,
    **dict.fromkeys((f"translate-train, {how}" for how in ("both", "LoRA", "BitFit")), _tuned),
    "translated probe": _translated,
    "continued MLM": _pretrained,
    "continued MLM, English": _pretrained,
    "new vocabulary": _reworded,
}
