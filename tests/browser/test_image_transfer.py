"""Notebook 04, run whole: its sliders redraw what was measured, and a picture of one's own is judged."""

from __future__ import annotations

import pytest
from PIL import Image
from playwright.sync_api import expect
from sklearn.datasets import load_sample_image

from tests.browser.conftest import SEEN
from tests.browser.notebook import choose, drag, follows

pytestmark = pytest.mark.timeout(1800)  # some three minutes after nbval's run, ten where nothing is cached

LABELS, PIXELS, OWN = "04-038", "04-039", "04-044"


@pytest.fixture(scope="module")
def transfer(opened):
    """Notebook 04, run."""
    book = opened("notebooks/04_imagenet_to_cifar_features.ipynb").run_all(seconds=1500)
    assert not book.errors()
    return book


@pytest.mark.parametrize("cell", [LABELS, PIXELS])
def test_a_slider_is_dragged_and_the_figure_follows(cell, transfer):
    assert follows(transfer, cell, lambda: drag(transfer, cell, -120)).startswith("Share of each class")
    transfer.picture(SEEN / "lab" / f"04_{cell}.png", cell)


def test_a_picture_of_ones_own_is_judged(transfer, tmp_path):
    file = tmp_path / "temple.png"
    Image.fromarray(load_sample_image("china.jpg")).save(file)
    told = follows(transfer, OWN, lambda: choose(transfer, OWN, file), seconds=60)
    # prediction, Grad-CAM, neighbours
    for part in ("A picture taken for", "of the evidence lies in the middle quarter", "Most like it:"):
        assert part in told
    expect(transfer.cell(OWN).get_by_role("alert")).to_have_count(0)
    transfer.picture(SEEN / "lab" / "04_own_picture.png", OWN)
