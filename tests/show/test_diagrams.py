"""The map has every setting, nothing runs out of its box, and words stand for it."""

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import FancyBboxPatch

from course_lib import show
from course_lib.errors import BadInput
from course_lib.show import diagrams
from course_lib.show.settings import ANSWERS, SETTINGS, setting_of


def renderer(picture):
    canvas = FigureCanvasAgg(picture.figure)
    canvas.draw()
    return canvas.get_renderer()


LONG = "two photographs → solar cells: clusters agree with the kind of cell, 0.43 (pixels 0.00)"


@pytest.fixture(scope="module")
def picture():
    return show.transfer_map(dict.fromkeys(("inductive", "unsupervised", "transductive"), LONG))


def test_every_setting_has_its_place_on_the_map(picture):
    assert set(diagrams._PLACES) == set(SETTINGS)
    for setting in SETTINGS.values():
        assert setting.name in picture.alt


def test_words_stay_in_their_box_and_do_not_overlap(picture):
    drawn = renderer(picture)
    (axes,) = picture.figure.axes
    boxes = [patch.get_window_extent(drawn) for patch in axes.patches if isinstance(patch, FancyBboxPatch)]
    assert len(boxes) == len(SETTINGS)
    texts = [(text.get_text(), text.get_window_extent(drawn)) for text in axes.texts]
    for k, (words, extent) in enumerate(texts):
        assert extent.x0 >= 0 and extent.x1 <= picture.figure.bbox.x1, words
        inside = [
            box
            for box in boxes
            if box.x0 < (extent.x0 + extent.x1) / 2 < box.x1 and box.y0 < (extent.y0 + extent.y1) / 2 < box.y1
        ]
        for box in inside:
            assert (
                box.x0 <= extent.x0 and extent.x1 <= box.x1 and box.y0 <= extent.y0 and extent.y1 <= box.y1
            ), words
        for other, extent_of_other in texts[k + 1 :]:
            assert not extent.overlaps(extent_of_other), (words, other)


def test_boxes_do_not_overlap():
    places = list(diagrams._PLACES.items())
    for k, (one, (left, bottom, right, top, _)) in enumerate(places):
        for other, (a, b, c, d, _) in places[k + 1 :]:
            assert right <= a or c <= left or top <= b or d <= bottom, (one, other)


def test_what_is_white_on_the_map_of_2010_is_dashed(picture):
    (axes,) = picture.figure.axes
    dashed = [patch.get_linestyle() not in ("-", "solid") for patch in axes.patches]
    assert dashed == [not SETTINGS[key].on_map for key in diagrams._PLACES]


@pytest.mark.filterwarnings("error")
def test_both_names_stand_in_the_boxes():
    (axes,) = show.transfer_map().figure.axes
    words = {text.get_text(): text.get_fontweight() for text in axes.texts}
    assert words["归纳式迁移学习"] == "normal"


def test_an_unknown_setting_is_told():
    with pytest.raises(BadInput, match="There is no setting 'negative'"):
        show.transfer_map({"negative": "x"})
    assert show.transfer_map(alt="Mine.").alt == "Mine."


# Tables 1 and 2 of Pan & Yang (2010): domains, tasks, labels in source and target.
PAPER = [
    ("the same", "another", "yes", "yes", "inductive"),
    ("another", "another", "yes", "yes", "inductive"),
    ("the same", "another", "no", "yes", "self_taught"),
    ("another", "another", "no", "yes", "self_taught"),
    ("another", "the same", "yes", "no", "transductive"),
    ("the same", "another", "no", "no", "unsupervised"),
    ("another", "another", "no", "no", "unsupervised"),
    ("the same", "the same", "yes", "yes", "ordinary"),
]
BEYOND = [
    ("another", "the same", "yes", "yes", "supervised_adaptation"),
    ("another", "another", "yes", "no", "zero_shot"),
    ("the same", "another", "yes", "no", "zero_shot"),
    ("the same", "the same", "yes", "no", "ordinary"),
    ("the same", "the same", "no", "yes", "ordinary"),
    ("the same", "the same", "no", "no", "unlabelled"),
    ("another", "the same", "no", "yes", "self_taught"),
    ("another", "the same", "no", "no", "unsupervised"),
]


@pytest.mark.parametrize("domain, task, source, target, key", PAPER + BEYOND)
def test_answers_lead_to_the_setting_of_the_paper(domain, task, source, target, key):
    found = setting_of(domain=domain, task=task, source_labels=source, target_labels=target)
    assert found.key == key
    ordinary = key in ("ordinary", "unlabelled")
    assert found.on_map == (
        (domain, task, source, target, key) in PAPER or ordinary or key in ("self_taught", "unsupervised")
    )


def test_every_combination_has_an_answer():
    assert len(PAPER + BEYOND) == 16
    assert len({row[:4] for row in PAPER + BEYOND}) == 16
    assert all(
        {row[k] for row in PAPER + BEYOND} == set(answers) for k, answers in enumerate(ANSWERS.values())
    )


def test_advice_links_to_notebooks_that_are_there(tmp_path):
    (tmp_path / "07_other_domains.ipynb").write_text("{}")
    text = SETTINGS["transductive"].text(tmp_path)
    assert "[notebook 07](07_other_domains.ipynb)" in text
    assert "; notebooks 09 and 10, in a later edition" in text
    assert "notebooks 07, 09 and 10, in" in SETTINGS["transductive"].text(tmp_path / "none")
    assert text.startswith("**Transductive transfer: domain adaptation** (直推式迁移学习，域适应).\n")
    assert ": not on the map of 2010." in SETTINGS["zero_shot"].text(tmp_path)


def test_a_wrong_answer_is_told():
    with pytest.raises(BadInput, match=r"task='similar'\.\nWhat to do: Answer 'the same' or 'another'"):
        setting_of(task="similar")
