"""The settings of transfer learning: the map of Pan & Yang (2010), and what it leaves white."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from course_lib.errors import BadInput

ANSWERS = {
    "domain": ("the same", "another"),
    "task": ("the same", "another"),
    "source_labels": ("yes", "no"),
    "target_labels": ("yes", "no"),
}
"""The questions that place a problem, and what can be answered."""


@dataclass(frozen=True)
class Setting:
    """A place on the map.

    Parameters
    ----------
    key : str
        For code.
    name, chinese : str
    known : str
        What is the same and what is labelled, in a line.
    first : str
        What to try first.
    notebooks : tuple of int
        Where the course treats it.
    on_map : bool
        Whether Pan & Yang (2010) have it.
    """

    key: str
    name: str
    chinese: str
    known: str
    first: str
    notebooks: tuple[int, ...]
    on_map: bool = True

    def text(self, folder: str | Path = ".") -> str:
        """Return the advice in Markdown, with links to those notebooks that are in `folder`.

        Examples
        --------
        >>> print(SETTINGS["ordinary"].text().splitlines()[0])
        **Ordinary supervised learning** (监督学习): not a transfer.
        """
        kind = (
            "not a transfer"
            if self.key in ("ordinary", "unlabelled")
            else ""
            if self.on_map
            else "not on the map of 2010"
        )
        places = _places(self.notebooks, Path(folder))
        return (
            f"**{self.name}** ({self.chinese}){': ' + kind if kind else ''}.\n\n"
            f"- *What you have*: {self.known}.\n- *Try first*: {self.first}\n- *In this course*: {places}."
        )


def _places(notebooks: tuple[int, ...], folder: Path) -> str:
    """Return links to the notebooks that are there, and a promise of the others."""
    found = {number: sorted(folder.glob(f"{number:02d}_*.ipynb")) for number in notebooks}
    links = [f"[notebook {number:02d}]({paths[0].name})" for number, paths in found.items() if paths]
    later = [f"{number:02d}" for number, paths in found.items() if not paths]
    parts = [_listed(links)] if links else []
    if later:
        parts.append(f"notebook{'s' if len(later) > 1 else ''} {_listed(later)}, in a later edition")
    return "; ".join(parts)


def link_to(number: int, folder: str | Path = ".") -> str:
    """Return a link to a notebook that is in `folder`, else its number.

    Examples
    --------
    >>> link_to(7, "nowhere")
    'notebook 07'
    """
    paths = sorted(Path(folder).glob(f"{number:02d}_*.ipynb"))
    return f"[notebook {number:02d}]({paths[0].name})" if paths else f"notebook {number:02d}"


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


SETTINGS = {
    setting.key: setting
    for setting in (
        Setting(
            "ordinary",
            "Ordinary supervised learning",
            "监督学习",
            "one domain, one task, and labels for it",
            "a classifier on your own labels. Draw a learning curve: if it still climbs steeply, you do need "
            "a transfer, and ImageNet or BERT is a source that everybody has.",
            (1, 4),
        ),
        Setting(
            "inductive",
            "Inductive transfer",
            "归纳式迁移学习",
            "another task in the target, with labels; a source with labels of its own",
            "a linear probe on the frozen network; then probe first, fine-tune afterwards. Compare with "
            "training from scratch on the same labels: where the source is far, transfer can hurt.",
            (4, 5, 6),
        ),
        Setting(
            "self_taught",
            "Self-taught learning",
            "自学习",
            "labels in the target; in the source nothing but examples",
            "a network that somebody pretrained without labels; failing that, one that you train on your own "
            "examples, or a dictionary of patches. Then a probe on your labels.",
            (2, 10),
        ),
        Setting(
            "supervised_adaptation",
            "Supervised domain adaptation",
            "有监督域适应",
            "the same task in another domain, and labels in both",
            "three rivals on the same test set: the target's labels alone, both together, and the source "
            "first, the target after.",
            (7, 9),
            on_map=False,
        ),
        Setting(
            "transductive",
            "Transductive transfer: domain adaptation",
            "直推式迁移学习，域适应",
            "the same task in another domain, and labels in the source only",
            "measure the source's classifier on some target labels, made for that alone. If it fell, bring "
            "the features of both domains to one scale (no label needed), then CORAL. If nothing helps, "
            "label fifty examples of the target: often the cheapest remedy.",
            (7, 9, 10),
        ),
        Setting(
            "zero_shot",
            "New classes without labels",
            "零样本学习，新类别发现",
            "another task in the target and no label for it; a source with labels",
            "clusters of the target on the source's features, and a look at the groups; where the classes "
            "have names, a model of pictures and words can read them.",
            (2, 14),
            on_map=False,
        ),
        Setting(
            "unsupervised",
            "Unsupervised transfer",
            "无监督迁移学习",
            "no label on either side",
            "features learnt without labels from the larger side, then clusters or a map of the target. Ask "
            "what the clusters are before you trust them: it need not be what you hope for.",
            (2,),
        ),
        Setting(
            "unlabelled",
            "Unsupervised learning",
            "无监督学习",
            "one domain, and no label at all",
            "clusters and maps, on features from elsewhere. Then label a few examples from each cluster.",
            (2,),
        ),
    )
}
"""Every setting by its key."""


def setting_of(
    *,
    domain: str = "the same",
    task: str = "another",
    source_labels: str = "yes",
    target_labels: str = "yes",
) -> Setting:
    """Place a problem on the map.

    Parameters
    ----------
    domain : "the same" or "another"
        Do the target's examples look as if they were drawn from the source's?
    task : "the same" or "another"
        Are the questions, the classes, those of the source?
    source_labels, target_labels : "yes" or "no"

    Returns
    -------
    Setting

    Raises
    ------
    BadInput
        For another answer.

    References
    ----------
    Pan & Yang (2010), "A survey on transfer learning", IEEE TKDE 22(10), tables 1 and 2.

    Examples
    --------
    >>> setting_of(domain="another", task="the same", target_labels="no").key
    'transductive'
    """
    given = {"domain": domain, "task": task, "source_labels": source_labels, "target_labels": target_labels}
    for question, answer in given.items():
        if answer not in ANSWERS[question]:
            raise BadInput(f"{question}={answer!r}.", f"Answer {' or '.join(map(repr, ANSWERS[question]))}.")
    same = domain == "the same", task == "the same"
    return SETTINGS[_key(*same, source=source_labels == "yes", target=target_labels == "yes")]


def _key(same_domain: bool, same_task: bool, *, source: bool, target: bool) -> str:
    if same_domain and same_task:  # then source and target are one, and so are their labels
        return "ordinary" if source or target else "unlabelled"
    if not (source or target):
        return "unsupervised"
    if same_task and source:
        return "supervised_adaptation" if target else "transductive"
    if target:
        return "inductive" if source else "self_taught"
    return "zero_shot"
