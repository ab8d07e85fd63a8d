"""README and its companions say what is true: results, badges, versions, links."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from pathlib import Path

import pytest

import course_lib
from course_lib.bench import figures
from course_lib.errors import BadInput
from course_lib.runner import headlines
from course_lib.runner.results import FACT

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CHINESE = (ROOT / "README.zh.md").read_text(encoding="utf-8")
PAPERS = ["README.md", "README.zh.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/teaching.md"]


def results(text):
    return text.split(headlines.BEGIN)[1].split(headlines.END)[0].strip()


def test_the_table_of_results_is_that_of_the_committed_notebooks():
    assert results(README) == headlines.table(ROOT / "notebooks")


@pytest.fixture
def copied(tmp_path):
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks", ignore=shutil.ignore_patterns("zh"))
    (tmp_path / "README.md").write_text(README, encoding="utf-8")
    return tmp_path


def test_a_result_that_changes_changes_the_table_and_nothing_else(copied):
    (path,) = (copied / "notebooks").glob("04_*.ipynb")
    notebook = json.loads(path.read_text(encoding="utf-8"))
    outputs = [o for cell in notebook["cells"] for o in cell.get("outputs", [])]
    facts = [o["data"][FACT] for o in outputs if FACT in o.get("data", {})]
    next(fact for fact in facts if fact["name"] == "probe, most labels")["value"] = 0.123
    path.write_text(json.dumps(notebook), encoding="utf-8")
    headlines.renew(copied / "README.md", copied / "notebooks")
    renewed = (copied / "README.md").read_text(encoding="utf-8")
    assert "| 12% |" in results(renewed)
    assert renewed.replace(results(renewed), "") == README.replace(results(README), "")


def test_a_fact_that_is_no_longer_stated_is_named(copied):
    (path,) = (copied / "notebooks").glob("14_*.ipynb")
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        cell.update({"outputs": []} if cell["cell_type"] == "code" else {})
    path.write_text(json.dumps(notebook), encoding="utf-8")
    with pytest.raises(BadInput, match="Notebook 14 does not state 'capstone, shuffled labels'"):
        headlines.table(copied / "notebooks")
    (copied / "README.md").write_text("no place", encoding="utf-8")
    with pytest.raises(BadInput, match="no place for the results"):
        headlines.renew(copied / "README.md", copied / "notebooks")


def test_badges_are_true():
    badges = dict(re.findall(r"!\[([^]]+)\]\(https://img\.shields\.io/badge/([^)]+)\)", README))
    low, high = re.match(r">=(3\.\d+),<(3\.\d+)", PROJECT["requires-python"]).groups()
    last = f"3.{int(high.split('.')[1]) - 1}"
    assert f"Python {low} to {last}" in badges and f"python-{low}_to_{last}-" in README
    assert f"Code: {PROJECT['license']}" in badges
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")[:200]
    assert "Text: CC BY 4.0" in badges
    assert "Attribution 4.0 International" in (ROOT / "LICENSE-TEXT").read_text(encoding="utf-8")
    assert len(badges) == 4, "a badge that nothing checks"


def test_the_citation_names_this_version_and_these_licences():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    version = re.search(r'^version: "([\d.]+)"', citation, re.MULTILINE)[1]
    assert course_lib.__version__ == f"{version}.0" and f"Version {version}." in README
    assert f"## {course_lib.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "- Apache-2.0" in citation and "- CC-BY-4.0" in citation


@pytest.mark.parametrize("name", PAPERS)
def test_every_link_leads_somewhere(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL))
    paths = {link.split("#")[0] for link in links if not re.match(r"https?://|mailto:", link)} - {""}
    lost = [path for path in paths if not ((ROOT / name).parent / path).exists()]
    assert not lost


@pytest.mark.parametrize("name", PAPERS)
def test_every_command_exists(name):
    from typer.main import get_command

    from course_lib.cli.app import app

    text = (ROOT / name).read_text(encoding="utf-8")
    known = set(get_command(app).commands)
    spans = re.findall(r"```.*?```|`[^`\n]*`", text, flags=re.DOTALL)
    named = {m for span in spans for m in re.findall(r"(?:^|[\n`/])course ([a-z][a-z-]*)", span)}
    assert named <= known, f"no such command: {sorted(named - known)}"
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    asked = {m for span in spans for m in re.findall(r"(?:^|[\n`])make ([a-z][a-z-]*)", span)}
    assert asked <= targets, f"no such target: {sorted(asked - targets)}"


def prose(text):
    """A README without its code and without what programs write into it."""
    for begin, end in ((headlines.BEGIN, headlines.END), (figures.BEGIN, figures.END)):
        text = re.sub(f"{begin}.*?{end}", "", text, flags=re.DOTALL)
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def code(text):
    """The fences of a README, line by line, without comments and with nothing in their placeholders."""
    lines = "\n".join(re.findall(r"```.*?```", text, flags=re.DOTALL)).splitlines()
    kept = [re.split(r"\s+# |\s{3,}(?![=\s])", line.strip())[0] for line in lines]
    return [re.sub(r"<[^>]+>", "<>", line) for line in kept]


def links(text):
    return re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose(text)))


def test_the_chinese_readme_has_the_commands_of_the_english_one():
    assert code(CHINESE) == code(README)


@pytest.mark.parametrize(
    "found",
    [
        lambda text: re.findall(r"^#+(?= )", prose(text), re.MULTILINE),
        lambda text: [line.count("|") for line in prose(text).splitlines() if line.startswith("|")],
        lambda text: sorted(re.findall(r"`[^`\n]+`", prose(text))),
        lambda text: sorted(re.findall(r"\d+(?:[.,]\d+)*", prose(text))),
    ],
    ids=["headings", "tables", "spans of code", "numbers"],
)
def test_the_chinese_readme_has_what_the_english_one_has(found):
    assert found(CHINESE) == found(README)


def test_the_chinese_readme_links_where_the_english_one_does_and_to_its_figures():
    ours = [link.replace("notebooks/zh/", "notebooks/") for link in links(CHINESE)]
    figures_of = ["README.md#what-comes-out", "README.md#how-fast"]
    own = ["README.md", "notebooks/zh", *figures_of]
    assert sorted(ours) == sorted([*(set(links(README)) - {"README.zh.md"}), *own])
    headings = re.findall(r"^#+ (.+)", prose(README), re.MULTILINE)
    assert {link.split("#")[1] for link in figures_of} <= {one.lower().replace(" ", "-") for one in headings}


def test_the_chinese_readme_maps_the_chinese_notebooks():
    mapped = re.findall(r"^\| \d\d \| \[[^\]]+\]\(notebooks/zh/([^)]+)\)", CHINESE, re.MULTILINE)
    assert mapped == sorted(path.name for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))


def test_each_readme_leads_to_the_other_and_one_alone_holds_figures():
    assert README.startswith("[简体中文](README.zh.md)\n")
    assert CHINESE.startswith("[English](README.md)\n")
    assert not [mark for mark in (headlines.BEGIN, figures.BEGIN) if mark in CHINESE]
