"""The README's table of results: facts that the notebooks state, the same that ``results.json`` collects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import nbformat

from course_lib.errors import BadInput
from course_lib.runner.plan import all_notebooks
from course_lib.runner.results import facts_of
from course_lib.runner.state import write_atomically

BEGIN: Final = "<!-- results:begin -->"
END: Final = "<!-- results:end -->"


@dataclass(frozen=True)
class Headline:
    """A line of the table.

    Parameters
    ----------
    notebook : str
        Its number, "00" to "14".
    fact : str
        The name that the notebook gave to `measure.fact`.
    question : str
        What a reader who has not seen the notebook wants to know.
    words : dict of object to str
        What an answer that is no number is called here; by default as the notebook calls it.
    """

    notebook: str
    fact: str
    question: str
    words: Mapping[Any, str] | None = None


HEADLINES: Final = (
    Headline("04", "probe, most labels", "5,000 pictures of CIFAR-10, a probe on frozen ImageNet features"),
    Headline(
        "04", "against from scratch", "The same with 500 labels, against a network trained from scratch"
    ),
    Headline(
        "05", "the largest lie is told with", "The article's program: its score is flattered most by the"
    ),
    Headline("05", "fine-tuned, balanced accuracy", "The upper layers fine-tuned as well, 640 labels"),
    Headline("06", "500 poly labels added to 50 of mono", "500 labels of another kind of cell added to 50"),
    Headline(
        "07", "poly by mono, balanced accuracy", "Defects learnt on one kind of cell, looked for on another"
    ),
    Headline(
        "07", "DANN against the same network", "Adversarial adaptation (DANN) on top of the same network"
    ),
    Headline("07", "CORAL, digits 0 to 3 only", "CORAL where classes are missing in the target does"),
    Headline(
        "08", "unknown to the English BERT, Chinese", "Chinese pieces that an English BERT does not know"
    ),
    Headline("08", "retrieval among test pairs", "Translations found by the multilingual BERT's features"),
    Headline(
        "10", "centring, Chinese", "Topics of Chinese sentences, labels in English only, features centred"
    ),
    Headline(
        "07",
        "centring closes of the language gap",
        "Share of the gap between the languages which that closes",
    ),
    Headline(
        "10",
        "new words from glosses, Chinese",
        "The English BERT given Chinese words by dictionary, nothing trained",
    ),
    Headline(
        "11",
        "student keeps 90% of its teacher's accuracy",
        "A student four times as fast keeps nine tenths of its teacher's accuracy",
        {"True": "yes", "False": "no"},
    ),
    Headline(
        "12", "PyTorch: two equal one to 1e-5", "Two processes give the weights that one gives, to 1e-5"
    ),
    Headline(
        "13", "ImageNet, 1,000 labels", "Spoken digits as pictures for the ImageNet network, 1,000 labels"
    ),
    Headline(
        "13", "50 labels, ImageNet against MFCC", "The same with 50 labels, against a classic of sound (MFCC)"
    ),
    Headline("14", "capstone, shuffled labels", "What the capstone says of data whose labels were shuffled"),
)


def table(folder: Path) -> str:
    """Return the table in Markdown, from the outputs of the notebooks in a folder.

    Raises
    ------
    BadInput
        When a notebook does not state a fact that the table needs.
    """
    paths = {path.stem[:2]: path for path in all_notebooks(folder)}
    facts: dict[str, dict[str, dict[str, Any]]] = {}
    lines = ["| what was asked | measured | notebook |", "|---|---|---|"]
    for line in HEADLINES:
        if line.notebook not in facts:
            notebook = nbformat.read(paths[line.notebook], as_version=4)  # type: ignore[no-untyped-call]
            facts[line.notebook] = {fact["name"]: fact for fact in facts_of(notebook)}
        if line.fact not in facts[line.notebook]:
            raise BadInput(
                f"Notebook {line.notebook} does not state {line.fact!r}.",
                "Execute it, or change HEADLINES in course_lib/runner/headlines.py.",
            )
        link = f"[{line.notebook}](notebooks/{paths[line.notebook].name})"
        lines.append(f"| {line.question} | {_said(facts[line.notebook][line.fact], line.words)} | {link} |")
    return "\n".join(lines)


def renew(readme: Path, folder: Path) -> None:
    """Write the table between its marks in a README.

    Raises
    ------
    BadInput
        When the marks are not there, or a fact is not.
    """
    text = readme.read_text(encoding="utf-8")
    if not 0 <= text.find(BEGIN) < text.find(END):
        raise BadInput(
            f"{readme} has no place for the results.", f"Put {BEGIN} and {END} on lines of their own."
        )
    before, after = text.split(BEGIN, 1)[0], text.split(END, 1)[1]
    write_atomically(readme, f"{before}{BEGIN}\n{table(folder)}\n{END}{after}")


def _said(fact: Mapping[str, Any], words: Mapping[Any, str] | None) -> str:
    """Return a fact's value as a reader says it.

    Examples
    --------
    >>> _said({"value": 0.7636, "unit": "%"}, None), _said({"value": "hurt", "unit": ""}, None)
    ('76%', 'hurt')
    """
    value, unit = fact["value"], fact["unit"]
    if isinstance(value, str):
        return (words or {}).get(value, value)
    return f"{value:.0%}" if unit == "%" else f"{value:,.3g} {unit}".rstrip()
