"""Sentences: encoding, fine-tuning, aligning and loading against what a reader would otherwise use."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from course_lib.bench.comparisons import MEMORY_UNIT, python
from course_lib.bench.figures import Figure, alternate
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
    n, repeats = (64, 2) if quick else (2000, 5)
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

    difference = max(float(np.abs(ours() - other()).max()) for other in (naive, library))
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
        english, chinese = (_small(task) for task in (english, chinese))
    rival_seconds, rival_scores = _trainer(english, chinese, quick)
    runs = [_ours(english, chinese, seed, quick) for seed in (SEEDS[:1] if quick else SEEDS)]
    seconds = np.array([run[0] for run in runs])
    scores = np.array([run[2] for run in runs])
    speeds = np.array([run[1] for run in runs])
    rival_speed = len(english.train) * (1 if quick else RIVAL_EPOCHS) / rival_seconds
    ratios = speeds / rival_speed
    zero_shot = scores[:, 1]
    return [
        Figure(
            "text_fine_tuning",
            f"fine-tuning multilingual BERT on {len(english.train):,} English sentences",
            float(np.median(speeds)),
            "sentences/s",
            f"transformers' Trainer at its defaults, batches of {BATCH}",
            float(np.median(ratios)),
            float(ratios.min()),
            float(ratios.max()),
            accuracy=float(scores[:, 0].mean()),
            rival_accuracy=rival_scores[0],
            goal="at least 4 × at no less accuracy, within its interval",
            note=(
                f"training sentences per second of fitting, validation counted on our side alone; "
                f"{len(english.test):,} English test sentences, {len(runs)} seeds of ours from "
                f"{scores[:, 0].min():.1%} to {scores[:, 0].max():.1%}; the Trainer trains all weights, "
                f"{RIVAL_EPOCHS} epochs, one run of {rival_seconds:.0f} s"
            ),
        ),
        Figure(
            "text_fine_tuning",
            "the same network on Chinese, of which it saw no label",
            float(np.median(seconds)),
            "s",
            "Trainer",
            accuracy=float(zero_shot.mean()),
            rival_accuracy=rival_scores[1],
            goal="at least 67% in at most 240 s",
            note=(
                f"{len(runs)} seeds from {zero_shot.min():.1%} to {zero_shot.max():.1%}; seconds from texts "
                "to the fitted network; everything chosen on English alone"
            ),
        ),
    ]


def _small(task: Task) -> Task:
    """Return a task that is quickly done: whether it works, not how well."""
    return replace(task.subset(48), test=task.test.sample(32))


def _ours(english: Task, chinese: Task, seed: int, quick: bool) -> tuple[float, float, tuple[float, float]]:
    """Return seconds from texts to the fitted network, sentences a second, English and Chinese accuracy."""
    from course_lib import encoders, methods

    options: dict[str, Any] = {"epochs": 1} if quick else {}
    start = time.perf_counter()
    tuned = methods.fine_tune(encoders.multilingual_bert(), english, seed=seed, **options)
    spent = time.perf_counter() - start
    trained = len(english.train) * len(tuned.history)
    return spent, trained / tuned.seconds["fit"], (_accuracy(tuned, english), _accuracy(tuned, chinese))


def _accuracy(classifier: Any, task: Task) -> float:
    return float(np.mean(classifier.predict(task.test) == task.test.y))


def _trainer(english: Task, chinese: Task, quick: bool) -> tuple[float, tuple[float, float]]:
    """Return the same for the usual program: BertForSequenceClassification in transformers' Trainer."""
    import torch
    from transformers import (
        BertForSequenceClassification,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )

    from course_lib import encoders

    encoder = encoders.multilingual_bert()
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
        start = time.perf_counter()
        trainer.train()
        spent = time.perf_counter() - start
        scores = []
        for task in (english, chinese):
            said = trainer.predict(rows(task.test)).predictions.argmax(axis=1)
            scores.append(float(np.mean(said == task.test.y)))
    return spent, (scores[0], scores[1])


def text_alignment(quick: bool = False) -> list[Figure]:
    """Measure how much of a probe's gap between languages closed-form alignment wins back, and how fast."""
    from course_lib import encoders, methods

    english, chinese = topics("en"), topics("zh")
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
