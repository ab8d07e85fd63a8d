"""The Chinese edition is the English one but for its words, and whatever is not is told."""

from __future__ import annotations

import copy

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course_lib import errors
from course_lib.runner import chinese
from course_lib.runner.chinese.__main__ import main
from course_lib.runner.clean import write_committed
from course_lib.runner.state import Record

TEXT = (
    "## Transfer\n\nA linear probe on $\\phi(x)$ with `fit`; "
    "[exercises](../exercises/04_a.ipynb), [05](05_b.ipynb)."
)
WORDS = (
    "## 迁移\n\n在 $\\phi(x)$ 上用 `fit` 做线性探测（linear probe）；"
    "[练习](../exercises/04_a.ipynb)，[第五课](05_b.ipynb)。"
)
LINKS = ["../../exercises/04_a.ipynb", "05_b.ipynb"]


@pytest.fixture
def english():
    output = new_output("stream", text="1\n")
    return new_notebook(
        cells=[new_markdown_cell(TEXT, id="t"), new_code_cell("print(1)", id="c", outputs=[output])],
        metadata={"carryover": {"minutes": 1.0}},
    )


@pytest.fixture
def path(tmp_path, english):
    """The English notebook in a clone, with what it links to."""
    for name in ("exercises/04_a.ipynb", "notebooks/05_b.ipynb", "notebooks/zh/05_b.ipynb"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    place = tmp_path / "notebooks" / "04_a.ipynb"
    nbformat.write(english, place)
    return place


def read(path):
    return nbformat.read(path, as_version=4)


def test_a_translation_agrees(english, path):
    made = chinese.renewed(english, texts={"t": WORDS})
    assert made.cells[1] == english.cells[1] and made.metadata == english.metadata
    assert all(f"]({link})" in made.cells[0].source for link in LINKS)
    assert chinese.renew(path, {"t": WORDS}) == chinese.Waiting((), ())
    there = chinese.chinese_path(path)
    assert not chinese.problems(read(path), read(there), there.parent)
    assert chinese.unused_terms(english, made) == []


WRONG = {
    "metadata of the notebook": lambda made: made.metadata.update(carryover={}),
    "cells, or their order": lambda made: made.cells.reverse(),
    "c: differs": lambda made: made.cells[1].update(source="print(2)"),
    "differs": lambda made: made.cells[1].outputs[0].update(text="2\n"),
    "t: metadata": lambda made: made.cells[0].metadata.update(tags=["x"]),
    "not translated": lambda made: made.cells[0].metadata.pop("translates"),
    "stale": lambda made: made.cells[0].metadata.update(translates="0" * 16),
    "still English": lambda made: made.cells[0].update(source=TEXT.replace("Transfer", "迁移")),
    "formulas": lambda made: said(made, "phi", "psi"),
    "code differ": lambda made: said(made, "`fit`", "`predict`"),
    "links": lambda made: said(made, "05_b", "06_c"),
    "link to nowhere: 06_c": lambda made: said(made, "05_b", "06_c"),
    "headings": lambda made: said(made, "## ", "### "),
    "half-width punctuation: 迁,": lambda made: said(made, "迁移\n", "迁,移\n"),
    "no space: 在A": lambda made: said(made, "在 ", "在A "),
}


def said(made, old, new):
    made.cells[0].source = made.cells[0].source.replace(old, new)


@pytest.mark.parametrize("problem", WRONG)
def test_what_does_not_agree_is_told(english, path, problem):
    made = chinese.renewed(english, texts={"t": WORDS})
    WRONG[problem](made)
    found = chinese.problems(english, made, path.parent / "zh")
    assert any(problem in one for one in found), found


def test_a_term_called_otherwise_is_told(english):
    made = chinese.renewed(english, texts={"t": WORDS.replace("线性探测", "线性探头")})
    assert chinese.unused_terms(english, made) == ["t: linear probe is 线性探测"]


def test_changed_english_makes_a_cell_stale_and_a_new_cell_is_missing(english, path):
    chinese.renew(path, {"t": WORDS})
    english.cells[0].source += " More."
    english.cells.append(new_markdown_cell("New, [link](../docs/x.md).", id="n"))
    nbformat.write(english, path)
    assert chinese.renew(path) == chinese.Waiting(("n",), ("t",))
    made = read(chinese.chinese_path(path))
    assert "线性探测" in made.cells[0].source, "what is stale is still there to be mended"
    assert made.cells[2].source == "New, [link](../../docs/x.md)."
    assert chinese.renew(path, {"t": WORDS, "n": "新，[链接](../docs/x.md)。"}) == chinese.Waiting((), ())


def test_committed_outputs_reach_the_chinese_edition(english, path):
    record = Record("ok", "r", "k", "packaged", 90.0, 2**30)
    write_committed(english, record, path)
    assert not chinese.chinese_path(path).exists(), "an edition that is not there is not begun"
    chinese.renew(path, {"t": WORDS})
    executed = copy.deepcopy(english)
    executed.cells[1].outputs[0].text = "3\n"
    write_committed(executed, record, path)
    made = read(chinese.chinese_path(path))
    assert made.cells[1].outputs[0].text == "3\n" and made.metadata.carryover.minutes == 1.5
    assert not chinese.problems(read(path), made)


@pytest.mark.parametrize(
    "text",
    ["words first\n<!-- cell a -->\nx", "", "<!-- cell a -->\n\n", "<!-- cell a -->\nx\n<!-- cell a -->\ny"],
)
def test_a_file_in_another_form_is_refused(text):
    with pytest.raises(errors.BadInput):
        chinese.parsed(text)


def test_a_cell_that_is_not_there_is_refused(english):
    with pytest.raises(errors.BadInput, match="c, x"):
        chinese.renewed(english, texts={"x": "字", "c": "字"})


def test_the_command(path, tmp_path, capsys):
    file, folder = tmp_path / "04.md", ["--notebooks", str(path.parent)]
    path.with_name("05_b.ipynb").unlink()
    assert main(folder) == 1 and "04_a: not translated" in capsys.readouterr().out
    file.write_text(f"<!-- cell t -->\n{WORDS}\n", encoding="utf-8")
    assert main([*folder, "04", "--from", str(file), "--terms"]) == 0
    assert capsys.readouterr().out == "04_a: translated\n"
    assert main(folder) == 0
    with pytest.raises(errors.BadInput):
        main([*folder, "99"])
