"""Notebook 08, run whole: a sentence is typed, and its tokens appear as the tokenizers give them."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from course_lib import encoders
from tests.browser.conftest import SEEN

CELL = "08-041"


@pytest.fixture(scope="module")
def languages(opened):
    """Notebook 08, run."""
    book = opened("notebooks/08_languages_tokens_and_features.ipynb").run_all(seconds=900)
    assert not book.errors()
    return book


@pytest.mark.parametrize(
    "sentence", ["今天的天气真好，我们去公园吧。", "The train to Shanghai leaves at noon."]
)
def test_tokens_of_a_typed_sentence_appear(languages, sentence):
    box = languages.cell(CELL).get_by_label("sentence")
    box.fill(sentence)
    box.press("Enter")
    figure = languages.figure(CELL)
    for name, reader in {
        "English BERT": encoders.english_bert(),
        "multilingual": encoders.multilingual_bert(),
    }.items():
        own = reader.tokens(sentence)
        told = f"{name} gives {len(own)} pieces"
        expect(figure.and_(languages.page.locator(f'[alt*="{told}"]'))).to_be_visible(timeout=60_000)
        assert " | ".join(own) in figure.get_attribute("alt")
    assert f"“{sentence}”" in figure.get_attribute("alt")
    languages.picture(SEEN / "lab" / "08_sentence.png", CELL)
