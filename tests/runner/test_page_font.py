"""A page brings along the Chinese that it shows: those characters, as the course's font draws them."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from fontTools.pens.recordingPen import RecordingPen
from fontTools.ttLib import TTFont
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course_lib.runner.page_font import font_face
from course_lib.runner.pages import Entry, body, page, write_pages
from course_lib.show.style import HANZI, HANZI_FILE

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
RULE = re.compile(
    rf'@font-face {{ font-family: "{HANZI}"; unicode-range: U\+([0-9A-F]+)-([0-9A-F]+); '
    r'src: url\(data:font/woff;base64,([A-Za-z0-9+/=]+)\) format\("woff"\); }'
)


@pytest.fixture(scope="module")
def whole():
    with TTFont(HANZI_FILE) as opened:
        yield opened


@pytest.fixture(scope="module")
def lacking(whole) -> str:
    """A character that the course's font has not, and one from beyond the first 65,536."""
    rare = next(chr(code) for code in range(0x4E00, 0x9FFF) if code not in whole.getBestCmap())
    assert ord("𠮷") not in whole.getBestCmap()
    return rare + "𠮷"


def embedded(html: str) -> TTFont | None:
    """Return the font within a page, None without one; two are a mistake."""
    found = RULE.findall(html)
    assert len(found) == html.count("@font-face") <= 1
    if not found:
        return None
    data = base64.b64decode(found[0][2], validate=True)
    assert data[:4] == b"wOFF"
    return TTFont(io.BytesIO(data))


def characters(html: str) -> str:
    font = embedded(html)
    return "".join(map(chr, sorted(font.getBestCmap()))) if font else ""


def ordered(text: str) -> str:
    return "".join(sorted(set(text)))


def outline(font: TTFont, character: str) -> list:
    pen = RecordingPen()
    font.getGlyphSet()[font.getBestCmap()[ord(character)]].draw(pen)
    return pen.value


class Shown(HTMLParser):
    """Collect what stands between tags and in attributes, styles left out."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.style = False
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.style = tag == "style"
        self.text += "".join(value or "" for _, value in attributes)

    def handle_endtag(self, tag):
        self.style = False

    def handle_data(self, data):
        self.text += "" if self.style else data


def test_exactly_the_characters_that_are_shown() -> None:
    html = page("T", "<p>迁移学习，&#38646;样本 &#x4E2D;文: transfer, naïve — “x”</p>")
    assert characters(html) == ordered("迁移学习，零样本中文")
    font = embedded(html)
    assert font["maxp"].numGlyphs == len("迁移学习，零样本中文") + 1  # and the box of a missing one


@pytest.mark.parametrize(
    "content", ["", "<p>No Chinese: naïve, “x” — α², ½</p>", "<p>&amp;#36801; shows a number</p>"]
)
def test_nothing_without_chinese(content) -> None:
    assert font_face(content) == ""
    assert embedded(page("T", content)) is None


def test_they_are_drawn_as_the_course_draws_them(whole) -> None:
    font = embedded(page("T", "<p>迁移学习</p>"))
    drawn = {character: outline(font, character) for character in "迁移学习"}
    assert all(drawn[c] == outline(whole, c) and len(drawn[c]) > 5 for c in drawn)
    assert drawn["迁"] != outline(whole, "移")
    widths = [one["hmtx"][one.getBestCmap()[ord("迁")]] for one in (font, whole)]
    assert widths[0] == widths[1] and font["head"].unitsPerEm == whole["head"].unitsPerEm


def test_characters_that_the_font_lacks_are_left_to_the_reader_s(lacking) -> None:
    assert characters(page("T", f"<p>{lacking}学</p>")) == "学"
    assert embedded(page("T", f"<p>{lacking} 한국어 😊</p>")) is None


def test_whatever_chinese_the_font_has_can_be_brought_along(whole) -> None:
    chinese = {code for code in whole.getBestCmap() if code >= 0x2E80}
    every = font_face("".join(map(chr, sorted(whole.getBestCmap()))))
    assert embedded(every).getBestCmap().keys() == chinese
    low, high, _ = RULE.fullmatch(every).groups()
    assert int(low, 16) <= min(chinese) and max(chinese) <= int(high, 16)
    assert int(low, 16) > ord("…")  # Latin and its punctuation are others' work


def test_every_style_that_names_it_names_another_after_it() -> None:
    style = re.search(r"<style>(.*)</style>", page("T", ""), re.DOTALL).group(1)
    naming = re.findall(r"font(?:-family)?: ([^;}]*)", style)
    ours = [families for families in naming if HANZI in families]
    assert len(ours) == 3  # text, code, formulas
    for families in ours:
        assert re.search(rf'^[^",]*"{HANZI}", \w', families), families
    assert {families for families in naming if "," in families} <= set(ours)


def test_of_headings_code_tables_descriptions_and_formulas() -> None:
    def shows(**data: str):
        return [new_output("display_data", data={k.replace("_", "/"): v for k, v in data.items()})]

    picture = new_output(
        "display_data", data={"image/png": "iVBORw0KGgo="}, metadata={"image/png": {"alt": "图"}}
    )
    cells = [
        new_markdown_cell("# 题 and $x_\\text{式}$"),
        new_code_cell("print('码')", outputs=[new_output("stream", text="流\n")]),
        new_code_cell("table", outputs=shows(text_html="<td>表</td>", text_plain="无")),
        new_code_cell("plot", outputs=[picture]),
    ]
    html = page("T", body(new_notebook(cells=cells)))
    assert characters(html) == ordered("题式码流表图")  # not the plain text that the table stands for


def test_each_page_has_its_own_and_its_neighbours_titles(tmp_path) -> None:
    (tmp_path / "notebooks").mkdir()
    entries = []
    for name, title, text in (("00_a", "甲", "一"), ("01_b", "乙", "二"), ("02_c", "Third", "three")):
        notebook = new_notebook(cells=[new_markdown_cell(f"# {title}\n\n{text}")])
        nbformat.write(notebook, tmp_path / "notebooks" / f"{name}.ipynb")
        entries.append(Entry(name, title, "ok", 60.0, "packaged", ["丙"] if name == "02_c" else []))
    write_pages(tmp_path, entries)
    pages = {path.stem: path.read_text("utf8") for path in (tmp_path / "pages").glob("*.html")}
    found = {name: characters(html) for name, html in pages.items()}
    expected = {"00_a": "甲乙一", "01_b": "甲乙二", "02_c": "乙", "index": "甲乙丙"}
    assert found == {name: ordered(text) for name, text in expected.items()}


@pytest.mark.parametrize("name", ["02_concepts", "08_languages_tokens_and_features"])
def test_notebooks_of_the_course(whole, name) -> None:
    """What another parser finds on the page, no more and no less."""
    content = body(nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4))
    html = page("T", content)
    chinese = {c for c in Shown(html).text if ord(c) >= 0x2E80 and ord(c) in whole.getBestCmap()}
    assert len(chinese) > 20
    assert characters(html) == ordered("".join(chinese))
    assert len(font_face(html)) < 600 * len(chinese), "the whole font is over a megabyte"


def test_the_licence_stays_with_it_and_the_bytes_repeat() -> None:
    html = page("T", "<p>迁移学习</p>")
    assert html == page("T", "<p>迁移学习</p>")
    names = {record.nameID: str(record) for record in embedded(html)["name"].names}
    assert "Adobe" in names[0] and "SIL Open Font License" in names[13] and "OFL" in names[14]
    assert "Source" not in names[1] + names[4] + names[6]  # reserved
