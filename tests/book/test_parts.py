"""The parts of which the book is made, each with what must not pass."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest

from book import docstrings, exercises, glossary, links, notebooks, site
from book.assemble import Sources
from book.extensions.search import SearchBoth
from book.finish import finish
from course_lib.errors import BadInput

ROOT = Path(__file__).parents[2]
WIDGET = "application/vnd.jupyter.widget-view+json"


def cell(source, *outputs, tags=()):
    made = nbformat.v4.new_code_cell(source, outputs=list(outputs))
    made.metadata["tags"] = list(tags)
    return made


def shown(data, **metadata):
    return nbformat.v4.new_output("display_data", data, metadata=metadata)


def for_book(*cells, **options):
    made = notebooks.for_book(nbformat.v4.new_notebook(cells=list(cells)), **options)
    return nbformat.reads(made, as_version=4)


def html_of(html):
    return for_book(cell("map", shown({"text/html": html}))).cells[0].outputs[0].data["text/html"]


def test_a_control_gives_way_to_its_still_picture_and_a_note():
    made = for_book(cell("show.explore(draw)", shown({WIDGET: {"model_id": "x"}, "text/markdown": "still"})))
    first, note = made.cells[0].outputs
    assert first.data == {"text/markdown": "still"}
    assert "JupyterLab" in note.data["text/html"]
    chinese = for_book(cell("show.explore(draw)", shown({WIDGET: {"model_id": "x"}})), chinese=True)
    assert "控件" in chinese.cells[0].outputs[-1].data["text/html"]


def test_private_output_is_missed_in_words_only_where_it_is_missing():
    empty, full = (
        for_book(cell("picture", *outputs, tags=["private-output"])).cells[0].outputs
        for outputs in ((), (shown({"text/plain": "here"}),))
    )
    assert "left out" in empty[0].data["text/markdown"]
    assert [one.data["text/plain"] for one in full] == ["here"]
    assert for_book(cell("nothing")).cells[0].outputs == []


def test_links_in_outputs_lead_to_pages():
    html = '<a href="01_a.ipynb">a</a> <a href="../exercises/01_a.ipynb#x">b</a>'
    elsewhere = '<a href="https://a.b/c.ipynb">c</a>'
    assert html_of(html + elsewhere) == html.replace("01_a.ipynb", "01_a.html") + elsewhere


def test_frames_and_sounds_get_names_once():
    made = html_of('<iframe srcdoc="x"></iframe><iframe title="own"></iframe><audio controls></audio>')
    assert made.count("title=") == 2
    assert 'aria-label="A sound"' in made


def test_a_description_belongs_to_the_bytes_of_its_picture():
    one, other = shown({"image/png": "AAAA"}, **{"image/png": {"alt": "a"}}), shown({"image/png": "AAAB"})
    made = notebooks.descriptions(nbformat.v4.new_notebook(cells=[cell("x", one, other)]))
    assert list(made.values()) == ["a"]
    assert all(len(name) == 64 for name in made)


def test_the_map_is_the_table_with_all_notebooks():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert notebooks.course_map(readme).count(".ipynb)") == 15
    with pytest.raises(ValueError, match="no table"):
        notebooks.course_map("| a |\n|---|\n")


def test_an_exercise_without_its_answer_is_refused():
    notebook = notebooks.read(ROOT / "solutions" / "06_when_transfer_fails.ipynb")
    notebook.cells = [one for one in notebook.cells if one.id != "06-1-answer"]
    with pytest.raises(BadInput, match="no cell for answer"):
        exercises.folded(notebook, "06.ipynb")


def test_a_folded_answer_follows_its_stub():
    made = exercises.folded(notebooks.read(ROOT / "solutions" / "06_when_transfer_fails.ipynb"), "06.ipynb")
    cells = {one["id"]: one for one in json.loads(made)["cells"]}
    names = list(cells)
    assert names.index("06-1-answer-folded") == names.index("06-1-answer") + 1
    assert cells["06-1-answer-folded"]["metadata"]["tags"] == ["hide-input"]
    assert "NotImplementedError" in "".join(cells["06-1-answer"]["source"])
    assert "BEGIN" not in made


def test_the_glossary_names_nothing_twice():
    lines = glossary.page(["00_start_here"]).splitlines()
    terms = [line.casefold() for line in lines[5:] if line and not line.startswith((" ", "`"))]
    assert len(terms) == len(set(terms))
    assert "迁移学习" in terms


def test_docstrings_in_parts():
    def told():
        """Do a thing,
        well.

        .. math:: a
            + b

        References
        ----------
        Somebody (2020).
        """

    made = docstrings.described(told)
    assert made.summary == "Do a thing, well."
    assert made.formulas == (".. math:: a\n    + b",)
    assert made.references == "Somebody (2020)."


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("迁移学习", {"迁移", "移学", "学习", "迁"}),
        ("k均值 probe", {"k", "均值", "probe"}),
        ("域", {"域"}),
    ],
)
def test_text_is_cut_into_words_and_pairs_of_characters(text, terms):
    assert terms <= set(SearchBoth({}).split(text))


def page(folder, name, body):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"<html><body>{body}</body></html>", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ('<a href="gone.html">x</a>', "no such file"),
        ('<a href="b.html#gone">x</a>', "no such place"),
        ('<a href="#gone">x</a>', "no such place"),
        ('<img src="gone.png">', "no such file"),
        ('<img src="https://example.org/a.png">', "needs the network"),
        ('<script src="//example.org/a.js"></script>', "needs the network"),
        ('<a href="../../outside.html">x</a>', "leaves the book"),
        ('<a href="/b.html">x</a>', "leaves the book"),
    ],
)
def test_a_broken_link_is_found(tmp_path, body, why):
    folder = tmp_path / "site"
    page(folder, "b.html", '<p id="here"></p>')
    page(folder, "a.html", body)
    (fault,) = links.broken(folder)
    assert why in fault.why
    assert fault.page == "a.html"


def test_links_that_hold_are_left_alone(tmp_path):
    page(tmp_path, "b.html", '<p id="这里"></p>')
    page(tmp_path, "sub/a.html", '<a href="../b.html#%E8%BF%99%E9%87%8C">x</a>')
    good = ["b.html", "sub/a.html", "#top", "https://example.org", "data:,", "mailto:a@b.c"]
    page(tmp_path, "a.html", '<p id="top"></p>' + "".join(f'<a href="{one}">x</a>' for one in good))
    assert links.broken(tmp_path) == []


def test_last_touches_may_be_made_twice(tmp_path):
    body = '<p class="caption" role="heading">x</p><pre>y</pre><div id="search-results"></div>'
    path = page(tmp_path, "a.html", body)
    finish(path)
    once = path.read_text(encoding="utf-8")
    finish(path)
    assert path.read_text(encoding="utf-8") == once
    assert 'role="heading"' not in once
    assert '<pre tabindex="0">' in once
    assert once.count("<h1>") == 1


def test_what_did_not_change_is_not_written_again(tmp_path):
    first = Sources(tmp_path)
    first.write("a.md", "a")
    first.write("sub/b.md", "b")
    before = (tmp_path / "a.md").stat().st_mtime_ns
    second = Sources(tmp_path)
    second.write("a.md", "a")
    second.sweep()
    assert (tmp_path / "a.md").stat().st_mtime_ns == before
    assert not (tmp_path / "sub" / "b.md").exists()


@pytest.mark.parametrize(
    ("text", "times", "said"),
    [
        ("[gone](gone.md)", 2, "gone.md"),
        ("![](static.png)\n\n$\\nosuchcommand$", 1, "(?s)description.*MathML"),
    ],
)
def test_a_warning_stops_the_book_each_time(tmp_path, text, times, said):
    source, memory, out = (tmp_path / name for name in ("source", "memory", "site"))
    source.mkdir()
    (source / "index.md").write_text(f"# A\n\n{text}\n", encoding="utf-8")
    (source / "static.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (source / "descriptions.json").write_text("{}", encoding="utf-8")
    for _ in range(times):
        with pytest.raises(site.BookError, match=said):
            site._sphinx(ROOT, "html", source, memory, out)
