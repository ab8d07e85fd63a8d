"""Sentences: encoding, fine-tuning, aligning and loading against what a reader would otherwise use."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from course_lib.bench.comparisons import MEMORY_UNIT, empty_cache, python
from course_lib.bench.figures import Figure, alternate
from course_lib.encoders.text import E5_PREFIX
from course_lib.measure.compare import in_points
from course_lib.tasks import Task, parallel_sentences, topics

SEEDS = (0, 1, 2)
BATCH = 32
PADDED = 128
"""Tokens to which the naive loop pads."""

RIVAL_EPOCHS = 3
"""The default of transformers' Trainer, as everything else of it that is not named here."""


def text_encoding(quick: bool = False) -> list[Figure]:
    """Compare ``encode`` with a naive loop and with sentence-transformers, same weights and texts."""
    from course_lib import encoders

    pairs = parallel_sentences()
    n, repeats = (16, 2) if quick else (2000, 5)
    texts = [*pairs.english[: n // 2], *pairs.chinese[: n // 2]]
    encoder = encoders.multilingual_bert()
    rival = _sentence_transformer(encoder)

    def ours() -> np.ndarray:
        return encoder.encode(texts, cache=False, progress=False)

    def naive() -> np.ndarray:
        return _naive(encoder, texts)

    def library() -> np.ndarray:
        return np.asarray(
            rival.encode(texts, batch_size=BATCH, prompt=encoder.prefix, show_progress_bar=False)
        )

    found = ours()
    difference = max(float(np.abs(found - other()).max()) for other in (naive, library))
    figures = []
    for work, name, goal in (
        (naive, f"unsorted batches of {BATCH} padded to {PADDED}", "at least 2 ×"),
        (library, "sentence-transformers, sorted batches", "at least 0.9 ×"),
    ):
        timed = alternate(ours, work, repeats)
        figures.append(
            Figure(
                "text_encoding",
                "features of sentences, half English, half Chinese",
                n / float(np.median(timed.ours)),
                "sentences/s",
                name,
                *timed.times_faster,
                goal=goal,
                note=f"largest difference between the features {difference:.1e}" if work is naive else "",
            )
        )
    return figures


def _naive(encoder: Any, texts: Sequence[str]) -> np.ndarray:
    """Return features as a first program computes them: in the order given, all padded alike."""
    import torch

    parts = []
    for first in range(0, len(texts), BATCH):
        batch = encoder.tokenizer(
            [encoder.prefix + text for text in texts[first : first + BATCH]],
            padding="max_length",
            max_length=PADDED,
            truncation=True,
            return_tensors="pt",
            return_token_type_ids=False,
        )
        with torch.no_grad():
            states = encoder.model(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1)
        parts.append(((states * mask).sum(dim=1) / mask.sum(dim=1)).numpy())
    return np.concatenate(parts)


def _sentence_transformer(encoder: Any) -> Any:
    """Return the same weights and tokenizer in sentence-transformers."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    with tempfile.TemporaryDirectory(prefix="carryover-bench-") as folder:
        encoder.model.save_pretrained(folder)
        encoder.tokenizer.save_pretrained(folder)
        body = Transformer(folder, max_seq_length=encoder.max_tokens)
        return SentenceTransformer(modules=[body, Pooling(encoder.width, "mean")], device="cpu")


def text_fine_tuning(quick: bool = False) -> list[Figure]:
    """Compare fine-tuning with transformers' Trainer at its defaults, and read the Chinese score."""
    english, chinese = topics("en"), topics("zh")
    if quick:
        english, chinese = (_small(task, 32) for task in (english, chinese))
    prefix = _closer_prefix(32 if quick else None)
    rival_seconds, rival = _trainer(english, chinese, prefix, quick)
    rival_speed = len(english.train) * (1 if quick else RIVAL_EPOCHS) / rival_seconds
    seeds = SEEDS[:1] if quick else SEEDS
    figures = []
    for precision in _precisions():
        runs = [_ours(english, chinese, prefix, seed, precision, quick) for seed in seeds]
        ratios = np.array([run.speed for run in runs]) / rival_speed
        figures.append(
            Figure(
                "text_fine_tuning",
                f"fine-tuning multilingual BERT on {len(english.train):,} English sentences, {precision}",
                float(np.median(ratios)) * rival_speed,
                "sentences/s",
                f"transformers' Trainer at its defaults, batches of {BATCH}",
                float(np.median(ratios)),
                float(ratios.min()),
                float(ratios.max()),
                accuracy=_mean(runs, english),
                rival_accuracy=float(np.mean(rival[english.name] == english.test.y)),
                goal="at least 4 × at no less accuracy, within its interval",
                note=(
                    f"{_scores(runs, rival, english)}; prefix {prefix!r}, with which raw text of the two "
                    "languages lies closest; training sentences per second; on our side alone the linear "
                    "probe that it starts from, its features, tokens and validation count; the Trainer "
                    f"trains all weights in float32, {RIVAL_EPOCHS} epochs, one run of {rival_seconds:.0f} s"
                ),
            )
        )
        figures.append(
            Figure(
                "text_fine_tuning",
                f"the same network on Chinese, of which it saw no label, {precision}",
                float(np.median([run.seconds for run in runs])),
                "s",
                "Trainer",
                accuracy=_mean(runs, chinese),
                rival_accuracy=float(np.mean(rival[chinese.name] == chinese.test.y)),
                goal="at least 67% in at most 240 s",
                note=(
                    f"{_scores(runs, rival, chinese)}; seconds from texts to the fitted network, loading "
                    "apart; epochs chosen on English alone"
                ),
            )
        )
    return figures


def _precisions() -> tuple[str, ...]:
    """Return float32, the default, and bfloat16 where the processor has units for it."""
    import torch

    there = torch.cpu.get_capabilities()
    units = ("avx512_bf16", "amx_bf16")
    return ("float32", "bfloat16") if any(there.get(unit) for unit in units) else ("float32",)


def _closer_prefix(pairs: int | None = None) -> str:
    """Return the prefix of sentences, the authors' or none, with which the two languages lie closer together.

    Raw held-out text tells, by the share of the features' variance that lies between the languages: no label
    is read, no test, and nobody could tell from English labels, which both serve alike.
    """
    from course_lib import encoders, measure

    held = parallel_sentences().part("validation")

    def apart(prefix: str) -> float:
        encoder = encoders.multilingual_bert(prefix=prefix)
        sides = (encoder.encode(side[:pairs]) for side in (held.english, held.chinese))
        return measure.alignment_and_uniformity(*sides).between

    return min((E5_PREFIX, ""), key=apart)


def _mean(runs: Sequence[_Run], task: Task) -> float:
    return float(np.mean([run.answers[task.name] == task.test.y for run in runs]))


def _scores(runs: Sequence[_Run], rival: dict[str, np.ndarray], task: Task) -> str:
    """Say how the seeds score, and how the first differs from the rival, over the test sentences."""
    from course_lib import measure

    scores = [float(np.mean(run.answers[task.name] == task.test.y)) for run in runs]
    reports = {
        name: measure.from_predictions(said, task.test, method=name)
        for name, said in (("theirs", rival[task.name]), ("ours", runs[0].answers[task.name]))
    }
    difference = in_points(measure.compare(reports)["ours"].difference)
    return (
        f"{len(runs)} seeds of ours from {min(scores):.1%} to {max(scores):.1%}, the first of them against "
        f"the Trainer {difference}"
    )


def _small(task: Task, labels: int) -> Task:
    """Return a task that is quickly done: whether it works, not how well."""
    return replace(task.subset(labels), test=task.test.sample(labels))


@dataclass(frozen=True)
class _Run:
    """One fine-tuning of ours: seconds from texts to the network, sentences a second, answers by task."""

    seconds: float
    speed: float
    answers: dict[str, np.ndarray]


def _ours(english: Task, chinese: Task, prefix: str, seed: int, precision: str, quick: bool) -> _Run:
    from course_lib import encoders, methods
    from course_lib.methods.body_torch import forget_bodies

    options: dict[str, Any] = {"precision": precision} | ({"epochs": 1} if quick else {})
    encoder = encoders.multilingual_bert(prefix=prefix)
    encoder.model, encoder.tokenizer  # noqa: B018  loaded beforehand, as the Trainer's
    forget_bodies()
    with empty_cache():
        start = time.perf_counter()
        tuned = methods.fine_tune(encoder, english, seed=seed, **options)
        spent = time.perf_counter() - start
    trained = len(english.train) * len(tuned.history)
    answers = {task.name: tuned.predict(task.test) for task in (english, chinese)}
    return _Run(spent, trained / spent, answers)


def _accuracy(classifier: Any, task: Task) -> float:
    return float(np.mean(classifier.predict(task.test) == task.test.y))


def _trainer(english: Task, chinese: Task, prefix: str, quick: bool) -> tuple[float, dict[str, np.ndarray]]:
    """Return seconds and answers of the usual program: BertForSequenceClassification in the Trainer."""
    import torch
    from transformers import (
        BertForSequenceClassification,
        DataCollatorWithPadding,
        PrinterCallback,
        Trainer,
        TrainingArguments,
    )

    from course_lib import encoders

    encoder = encoders.multilingual_bert(prefix=prefix)
    torch.manual_seed(0)
    config = type(encoder.model.config).from_dict(encoder.model.config.to_dict())
    config.num_labels = english.classes
    model = BertForSequenceClassification(config)
    model.bert.load_state_dict(encoder.model.state_dict(), strict=False)

    def rows(texts: Any, labels: np.ndarray | None = None) -> list[dict[str, Any]]:
        ids = encoder.token_ids(texts)
        return [
            {"input_ids": i} | ({} if labels is None else {"labels": int(labels[k])})
            for k, i in enumerate(ids)
        ]

    with tempfile.TemporaryDirectory(prefix="carryover-bench-") as folder:
        trainer = Trainer(
            model,
            TrainingArguments(
                folder,
                per_device_train_batch_size=BATCH,
                num_train_epochs=1 if quick else RIVAL_EPOCHS,
                save_strategy="no",
                logging_strategy="no",
                report_to="none",
                disable_tqdm=True,
                use_cpu=True,
            ),
            data_collator=DataCollatorWithPadding(encoder.tokenizer),
            train_dataset=rows(english.train, english.train.y),
        )
        trainer.remove_callback(PrinterCallback)
        start = time.perf_counter()
        trainer.train()
        spent = time.perf_counter() - start
        answers = {
            task.name: trainer.predict(rows(task.test)).predictions.argmax(axis=1)
            for task in (english, chinese)
        }
    return spent, answers


def text_alignment(quick: bool = False) -> list[Figure]:
    """Measure how much of a probe's gap between languages closed-form alignment wins back, and how fast."""
    from course_lib import encoders, methods

    english, chinese = topics("en"), topics("zh")
    if quick:
        english, chinese = (_small(task, 96) for task in (english, chinese))
    encoder = encoders.multilingual_bert()
    probe = methods.linear_probe(encoder, english)
    home, away = _accuracy(probe, english), _accuracy(probe, chinese)
    figures = []
    for name, fit in (("CORAL", methods.coral), ("centring", methods.centring)):
        fit(probe, english.train, chinese.train)  # the first also encodes
        adapted = fit(probe, english.train, chinese.train)
        score = _accuracy(adapted, chinese)
        share = (score - away) / (home - away)
        figures.append(
            Figure(
                "text_alignment",
                f"{name} of Chinese features, fitted on {len(chinese.train):,} sentences without labels",
                1000 * adapted.seconds["fit"],
                "ms",
                "the English probe as it is",
                accuracy=score,
                rival_accuracy=away,
                goal="at least 85% of the gap in under 1 s",
                note=(
                    f"English {home:.1%}; {share:.0%} of the gap of {100 * (home - away):.1f} points won back"
                ),
            )
        )
    return figures


def text_loading(quick: bool = False) -> list[Figure]:
    """Time loading the packaged multilingual BERT in fresh processes, and measure their peak memory."""
    code = (
        "import time, resource\n"
        "import torch, transformers\n"
        "from transformers import BertModel, PreTrainedTokenizerFast\n"
        "from course_lib import encoders\n"
        "start = time.perf_counter()\n"
        "encoder = encoders.multilingual_bert()\n"
        "encoder.model, encoder.tokenizer\n"
        "print(time.perf_counter() - start)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    runs = [[float(line) for line in python("-c", code).splitlines()[-2:]] for _ in range(1 if quick else 5)]
    seconds, memory = np.array(runs).T
    return [
        Figure(
            "text_loading",
            "loading the packaged multilingual BERT",
            float(np.median(seconds)),
            "s",
            goal="at most 3 s",
            note=(
                f"from the 4-bit file to a checked float32 network and its tokenizer, imports apart; "
                f"{seconds.min():.1f} to {seconds.max():.1f} s in {len(runs)} processes; "
                f"peak memory {memory.max() * MEMORY_UNIT / 2**30:.1f} GiB"
            ),
        )
    ]
