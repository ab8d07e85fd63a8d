"""A picture is one small PNG with words, which reach the exported page."""

import base64
from html.parser import HTMLParser

import matplotlib.pyplot as plt
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from course_lib import show
from course_lib.measure.report import Interval
from course_lib.runner.pages import body

SCORES = {"probe": Interval(0.84, 0.81, 0.87)}


class Images(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.found.append(dict(attrs))


def test_figures_are_closed():
    before = plt.get_fignums()
    show.bars(SCORES)
    assert plt.get_fignums() == before


def test_png_is_deterministic_small_and_has_no_date_or_software():
    png = show.bars(SCORES).png
    assert png == show.bars(SCORES).png
    assert png.startswith(b"\x89PNG")
    assert len(png) < 80_000
    assert b"tEXt" not in png and b"tIME" not in png


def test_save_writes_the_png(tmp_path):
    picture = show.bars(SCORES)
    picture.save(tmp_path / "bars.png")
    assert (tmp_path / "bars.png").read_bytes() == picture.png


def test_a_terminal_prints_the_words():
    assert repr(show.bars(SCORES, alt="One bar.")) == "Picture: One bar."


@pytest.mark.parametrize("words", ["One bar at 84%.", 'Odd "words" & <tags>'])
def test_words_and_width_reach_the_exported_page(words):
    picture = show.bars(SCORES, alt=words)
    data, metadata = picture._repr_mimebundle_()
    data["image/png"] = base64.b64encode(data["image/png"]).decode()
    output = new_output("display_data", data=data, metadata=metadata)
    notebook = new_notebook(cells=[new_code_cell("", outputs=[output])])
    nbformat.validate(notebook)
    page = body(notebook)
    images = Images()
    images.feed(page)
    (image,) = [found for found in images.found if found.get("src", "").startswith("data:image/png")]
    assert image["alt"] == words
    assert image["width"] == str(picture.width) == "720"
