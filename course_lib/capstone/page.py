"""The report: one page that needs nothing beside it, and the same as plain values."""

from __future__ import annotations

import base64
import io
import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from course_lib import show
from course_lib.capstone.findings import Findings, Mistake
from course_lib.capstone.project import REPORT, cores
from course_lib.measure import Verdict
from course_lib.measure.report import METRICS
from course_lib.runner.pages import page
from course_lib.runner.plan import versions
from course_lib.runner.state import write_atomically

THUMBNAIL: Final = 160
LISTED: Final = 200
LONGEST: Final = 400
"""Characters of a sentence that the page shows."""
CLASSES: Final = 30
_ENDS: Final = (".", "!", "?")


def write_report(findings: Findings, folder: str | Path) -> Path:
    """Write ``report/index.html`` and ``report/report.json`` in a project's folder.

    Parameters
    ----------
    findings : Findings
    folder : path

    Returns
    -------
    pathlib.Path
        The page.
    """
    place = Path(folder) / REPORT
    content = {**findings.to_dict(), "versions": versions(), "cores": cores()}
    write_atomically(place / "report.json", json.dumps(_finite(content), indent=1, ensure_ascii=False) + "\n")
    write_atomically(place / "index.html", report_page(findings))
    return place / "index.html"


def report_page(findings: Findings) -> str:
    """Return the report as HTML; whatever the data say in it is text, and nothing of it is run."""
    content = _environment().get_template("report.html").render(**_shown(findings))
    css = files("course_lib.capstone").joinpath("report.css").read_text(encoding="utf-8")
    return page(f"{findings.data.task.name}: report", f"<style>\n{css}</style>\n{content}")


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("course_lib.capstone", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shown(findings: Findings) -> dict[str, Any]:
    """Return what the template speaks of."""
    data, final, metric = findings.data, findings.final, METRICS[findings.data.metric]
    recalls = [
        (name, "–" if np.isnan(share) else f"{share:.0%}", f"{int(n):,}")
        for name, share, n in zip(
            data.task.class_names, final.recall, final.confusion.sum(axis=1), strict=True
        )
    ]
    return {
        "name": data.task.name,
        "answer": findings.answer.replace(" ", "-"),
        "headline": findings.headline,
        "advice": findings.advice,
        "chosen": findings.chosen,
        "labels": f"{final.train_size:,}",
        "final": str(final.score(data.metric)),
        "metric": metric,
        "tested": f"{final.n:,}",
        "model": findings.model,
        "warnings": data.warnings,
        "seeds": findings.settings.get("seeds", 1),
        "verdicts": [(q, _answer(v), v.notes) for q, v in findings.verdicts().items()],
        "tuning": findings.tuning.rstrip("".join(_ENDS)),
        "costs": findings.costs(),
        "minutes": f"{findings.seconds / 60:.1f}",
        "cores": cores(),
        "recalls": recalls,
        "mistakes": [_mistake(findings, one) for one in findings.mistakes],
        "thumbnails": _has_pictures(findings),
        "notes": data.notes,
        "classes": data.rows(),
        "duplicates": [str(pair) for pair in data.duplicates[:LISTED]],
        "settings": _settings(findings),
        **_pictures(findings),
    }


def _answer(verdict: Verdict) -> str:
    """Return a verdict's sentence as the answer to a question."""
    first = {"helped": "Yes", "hurt": "No, on the contrary"}.get(verdict.answer, "Cannot tell")
    return f"{first}: {verdict.sentence().partition(': ')[2]}"


def _pictures(findings: Findings) -> dict[str, Any]:
    metric = METRICS[findings.data.metric]
    curves = findings.curves
    few = len(findings.final.class_names) <= CLASSES
    return {
        "scores_picture": _image(show.bars(findings.scores(), title=f"{metric.capitalize()} on test")),
        "curve_picture": _image(show.learning_curve(*curves, title="Score against number of labels")),
        "curve_words": _curve_words(findings),
        "calibration_picture": _image(
            show.reliability({"as it is": findings.before, "scaled": findings.after})
        ),
        "calibration_words": _calibration_words(findings),
        "confusion_picture": _image(show.confusion(findings.final)) if few else "",
    }


def _curve_words(findings: Findings) -> str:
    probe, plain = findings.curves
    size = int(probe.sizes[0])
    best = plain.means().max()
    reached = [int(n) for n, score in zip(probe.sizes, probe.means(), strict=True) if score >= best]
    first = (
        f"With {size:,} labels the probe scores {probe.interval(size).value:.0%}, {plain.name} "
        "without a source "
    )
    first += f"{plain.interval(size).value:.0%}. "
    if not reached:
        return first + f"At no size does the probe reach the best score of {plain.name}, {best:.0%}."
    return first + f"The best score of {plain.name}, {best:.0%}, the probe has from {reached[0]:,} labels on."


def _calibration_words(findings: Findings) -> str:
    before, after = findings.before, findings.after
    side = "too sure" if before.overconfidence > 0 else "not sure enough"
    return (
        f"On average {abs(100 * before.overconfidence):.1f} points {side}; calibration error "
        f"{before.ece.value:.1%}, "
        f"where perfect probabilities would show {before.floor:.1%} by chance. One temperature, "
        f"{findings.temperature:.2f}, fitted on validation, makes it {after.ece.value:.1%}."
    )


def _has_pictures(findings: Findings) -> bool:
    return bool(findings.data.task.test.x.dtype == np.uint8)


def _mistake(findings: Findings, one: Mistake) -> dict[str, Any]:
    x = findings.data.task.test.x[one.row]
    told = {"true": one.true, "said": one.said, "confidence": f"{one.confidence:.0%} sure", "id": one.id}
    if _has_pictures(findings):
        return {**told, "picture": _thumbnail(x, f"{one.true}, taken for {one.said}")}
    text = " ‖ ".join(map(str, x)) if isinstance(x, np.ndarray) else str(x)
    return {**told, "text": text[:LONGEST] + ("…" if len(text) > LONGEST else "")}


def _thumbnail(picture: np.ndarray, alt: str) -> Markup:
    from PIL import Image

    flat = picture[..., 0] if picture.shape[-1] == 1 else picture
    image = Image.fromarray(np.ascontiguousarray(flat)).convert("RGB")
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    stream = io.BytesIO()
    image.save(stream, format="JPEG", quality=80)
    return _inline("jpeg", stream.getvalue(), alt)


def _image(picture: show.Picture) -> Markup:
    return _inline("png", picture.png, picture.alt, f' width="{picture.width}"')


def _inline(kind: str, content: bytes, alt: str, more: str = "") -> Markup:
    data = base64.b64encode(content).decode("ascii")
    return Markup(f'<img src="data:image/{kind};base64,{data}" alt="{escape(alt)}"{more}>')  # alt is escaped


def _settings(findings: Findings) -> str:
    lines = [f"{name} = {value}" for name, value in findings.settings.items()]
    return "\n".join([*lines, "", *(f"{name} {version}" for name, version in versions().items())])


def _finite(value: Any) -> Any:
    """Return plain values in which nothing is NaN or infinite, which JSON has not."""
    if isinstance(value, dict):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
