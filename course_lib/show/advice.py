"""Which method to try first, by what one has: labels, pairs, raw examples, compute."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from course_lib.errors import BadInput
from course_lib.show.settings import link_to

QUESTIONS: Final = {
    "target_labels": ("none", "a handful per class", "hundreds", "thousands"),
    "source": ("a pretrained network alone", "labels of the same task elsewhere"),
    "pairs": ("no", "yes"),
    "unlabelled": ("no", "yes"),
    "compute": ("a laptop, minutes", "a laptop, hours", "a GPU or several machines"),
}
"""What is asked, and what can be answered."""


@dataclass(frozen=True)
class Advice:
    """What to try first.

    Parameters
    ----------
    method : str
    why : str
    code : str
        The call.
    notebooks : tuple of int
    control : str
        What to compare it with.
    then : str
        What to try when it is not enough.
    """

    method: str
    why: str
    code: str
    notebooks: tuple[int, ...]
    control: str
    then: str

    def text(self, folder: str | Path = ".") -> str:
        """Return the advice in Markdown, with links to those notebooks that are in `folder`."""
        places = ", ".join(link_to(number, folder) for number in self.notebooks)
        return (
            f"**Try first: {self.method}.** {self.why}\n\n- *Call*: `{self.code}`\n- *Compare with*: "
            f"{self.control}\n- *Then*: {self.then}\n- *Where*: {places}"
        )


def advice(
    *,
    target_labels: str = "hundreds",
    source: str = "a pretrained network alone",
    pairs: str = "no",
    unlabelled: str = "yes",
    compute: str = "a laptop, minutes",
) -> Advice:
    """Return what to try first.

    Parameters
    ----------
    target_labels : str
        Labels that the target has.
    source : str
        Whether somebody else's labels for the same task are there.
    pairs : {"no", "yes"}
        Examples that are known in both domains, such as translations.
    unlabelled : {"no", "yes"}
        More examples of the target without labels.
    compute : str

    Returns
    -------
    Advice

    Raises
    ------
    BadInput
        For an answer that is none of `QUESTIONS`.

    Examples
    --------
    >>> advice(target_labels="none", source="labels of the same task elsewhere").method
    'centring, then CORAL'
    """
    given = {
        "target_labels": target_labels,
        "source": source,
        "pairs": pairs,
        "unlabelled": unlabelled,
        "compute": compute,
    }
    for question, answer in given.items():
        if answer not in QUESTIONS[question]:
            raise BadInput(
                f"{question}={answer!r}.", f"Answer {' or '.join(map(repr, QUESTIONS[question]))}."
            )
    elsewhere = source == QUESTIONS["source"][1]
    if target_labels == "none":
        return _without_labels(elsewhere, pairs == "yes", unlabelled == "yes")
    if target_labels == "a handful per class":
        return _SOURCE_THEN_FEW if elsewhere else _FEW
    if compute == QUESTIONS["compute"][0]:
        return _PROBE
    if target_labels == "hundreds":
        return _PROBE_FIRST
    return _MANY if compute == QUESTIONS["compute"][2] else _PROBE_FIRST


def _without_labels(elsewhere: bool, pairs: bool, unlabelled: bool) -> Advice:
    """Return the advice for a target without a single label."""
    if not elsewhere:
        return _CLUSTERS if unlabelled else _LABEL
    if pairs:
        return _PROCRUSTES
    return _CORAL if unlabelled else _ZERO_SHOT


_PROBE: Final = Advice(
    "a linear probe on frozen features",
    "It takes seconds, has one setting, and cannot forget anything.",
    "methods.linear_probe(encoder, task)",
    (4, 8),
    "the same learner without the source: pixels, characters, or a small network from scratch.",
    "features of several layers, then fine-tuning within a budget.",
)
_PROBE_FIRST: Final = Advice(
    "the probe first, then fine-tuning from it",
    "Labels are enough to move the network, and the probe keeps a random last layer from tearing it up.",
    "methods.fine_tune(encoder, task, **measure.plan(task, methods.machine(), minutes=10).options)",
    (5, 9),
    "the probe alone, and training from scratch on the same labels.",
    "L2-SP or rates that fall with depth where it forgets; the planner for what fits into the time.",
)
_MANY: Final = Advice(
    "fine-tuning the whole network, then distilling it into a small one",
    "With so many labels and so much compute the frozen part is the limit; a student is cheap to use.",
    "methods.fine_tune(encoder, task, freeze_to=None)",
    (5, 11, 12),
    "training from scratch: with labels enough it may catch up.",
    "several machines for the same result sooner; low precision where the processor gains by it.",
)
_FEW: Final = Advice(
    "the nearest class mean, then a probe",
    "With five examples of a class there is little to fit; a mean is hard to overfit.",
    "methods.nearest_mean(encoder, task)",
    (4, 9),
    "the probe on the same labels, over several seeds: with so few, one draw says nothing.",
    "label more. A learning curve says what the next fifty would bring.",
)
_SOURCE_THEN_FEW: Final = Advice(
    "the target's labels alone against the source's with them",
    "A handful of true labels often beats every adaptation, and sometimes the source hurts them.",
    "measure.trial({'alone': ..., 'with the source': ...}, task)",
    (6, 7, 9),
    "the target's labels alone: the honest rival of every adaptation.",
    "if the source helps, adapt its features first; if it hurts, leave it.",
)
_CORAL: Final = Advice(
    "centring, then CORAL",
    "If the domains differ by an offset or a scale, that is all that is missing, and it takes milliseconds.",
    "methods.coral(probe, source.train, target.train)",
    (7, 10),
    "the source's classifier as it is, on some target labels made for measuring alone.",
    "a diagnosis of the shift; where the rule itself differs, label fifty examples.",
)
_PROCRUSTES: Final = Advice(
    "a rotation fitted on the pairs",
    "Pairs say what belongs to what, which no cloud of unlabelled points can.",
    "methods.procrustes(probe, source_pairs, target_pairs)",
    (8, 10),
    "centring, which needs no pair at all and is often as good.",
    "translate-train, if translations are to be had.",
)
_ZERO_SHOT: Final = Advice(
    "the source's classifier as it is, on features both domains share",
    "With nothing of the target there is nothing to adapt to; a shared encoder is the whole transfer.",
    "measure.report(probe, target.test)",
    (9,),
    "the largest class, and chance.",
    "collect unlabelled examples of the target: they cost the least and open every other way.",
)
_CLUSTERS: Final = Advice(
    "clusters on the features, then labels for a few of each",
    "Without any label the groups can only be looked at; a few labels per group name them.",
    "measure.cluster_agreement(...)",
    (2, 14),
    "the same number of labels drawn at random.",
    "a probe on what was labelled.",
)
_LABEL: Final = Advice(
    "labelling",
    "There is neither a label anywhere nor an example more: nothing can be learnt from nothing.",
    "course new DIR",
    (1, 14),
    "the largest class.",
    "fifty labels and a probe; then a learning curve.",
)
