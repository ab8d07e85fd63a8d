"""Controls call the drawing function and change what is shown; without them the picture stands still."""

import base64
import io
import subprocess
import sys
import threading
from datetime import datetime

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from course_lib import show
from course_lib.errors import BadInput
from course_lib.runner.clean import committed
from course_lib.runner.pages import body
from course_lib.runner.state import Record
from course_lib.show import widgets
from course_lib.show.style import panels


def square(side, colour="blue"):
    figure, ((axes,),) = panels(figsize=(2, 1))
    axes.barh([0], [side], color=colour)
    return show.Picture(figure, f"A {colour} bar of {side}.")


class Recorder:
    """A drawing function that remembers its calls."""

    def __init__(self, draw):
        self.draw, self.calls = draw, []

    def __call__(self, **values):
        self.calls.append(values)
        return self.draw(**values)


@pytest.fixture
def recorder():
    return Recorder(square)


@pytest.fixture
def explorer(recorder):
    return show.explore(recorder, side=[1, 2, 3], colour=["blue", "red"], start={"side": 2})


def image(explorer):
    return explorer.widget.children[2].children[0].value


def markdown(explorer):
    return explorer.widget.children[2].children[1].outputs


def test_the_start_is_drawn_once_and_at_once(explorer, recorder):
    assert recorder.calls == [{"side": 2, "colour": "blue"}]
    assert repr(explorer) == "Picture: A blue bar of 2."
    assert image(explorer)
    assert len(recorder.calls) == 1


def test_without_a_kernel_the_bundle_is_that_of_the_picture(explorer):
    data, metadata = explorer._repr_mimebundle_()
    picture = square(2)
    assert data == {"image/png": picture.png, "text/plain": "Picture: A blue bar of 2."}
    assert metadata == {"image/png": {"alt": "A blue bar of 2.", "width": 200}}


def test_a_moved_control_draws_with_its_value_and_changes_the_image(explorer, recorder):
    before = image(explorer)
    explorer.controls["side"].value = 3
    assert recorder.calls[-1] == {"side": 3, "colour": "blue"}
    assert 'alt="A blue bar of 3."' in image(explorer)
    assert base64.b64encode(square(3).png).decode() in image(explorer)
    explorer.controls["colour"].value = "red"
    assert recorder.calls[-1] == {"side": 3, "colour": "red"}
    assert 'alt="A red bar of 3."' in image(explorer) != before
    assert explorer.values == {"side": 3, "colour": "red"}


def test_going_back_draws_nothing(explorer, recorder):
    before = image(explorer)
    for side in (3, 2, 3, 2):
        explorer.controls["side"].value = side
    assert recorder.calls == [{"side": 2, "colour": "blue"}, {"side": 3, "colour": "blue"}]
    assert image(explorer) == before


def test_figures_are_not_kept(explorer):
    (drawn,) = explorer._kept.values()
    assert not hasattr(drawn, "figure")


def test_the_image_keeps_its_place_and_its_words_are_escaped():
    figure, _ = panels(figsize=(4, 2))
    explorer = show.explore(lambda k: show.Picture(figure, 'Less "<than>" one.'), k=[1])
    assert 'alt="Less &quot;&lt;than&gt;&quot; one."' in image(explorer)
    assert 'width="400" height="200"' in image(explorer)


@pytest.mark.parametrize(
    "given, kind, shown",
    [
        ([100, 5000], "SelectionSlider", ("100", "5,000")),
        (np.array([0.001, 0.1]), "SelectionSlider", ("0.001", "0.1")),
        (range(1, 4), "SelectionSlider", ("1", "2", "3")),
        (["a", "b"], "Dropdown", ("a", "b")),
        ([7], "Dropdown", ("7",)),
        (["none of it", 0.5], "Dropdown", ("none of it", "0.5")),
        ([None, 2], "Dropdown", ("none", "2")),
    ],
)
def test_kinds_of_controls(given, kind, shown):
    (control,) = show.explore(lambda x: str(x), x=given).controls.values()
    assert type(control).__name__ == kind
    assert tuple(label for label, _ in control.options) == shown


def test_a_bool_is_a_box_to_tick():
    calls = []
    explorer = show.explore(lambda flip: calls.append(flip) or "", flip=True)
    assert type(explorer.controls["flip"]).__name__ == "Checkbox"
    explorer.controls["flip"].value = False
    assert calls == [True, False]
    assert show.explore(lambda flip: "", flip=[True, False]).values == {"flip": True}
    assert show.explore(lambda flip: "", flip=[0, 1]).choices == {"flip": (0, 1)}


def test_numbers_of_numpy_become_numbers():
    explorer = show.explore(
        lambda rate, n: "", rate=np.float32([0.5, 0.25]), n=np.array([3]), start={"rate": np.float32(0.25)}
    )
    assert explorer.values == {"rate": 0.25, "n": 3}
    assert [type(value) for value in explorer.values.values()] == [float, int]


def typed(draw=lambda sentence: f"**{sentence}**", **options):
    explorer = show.explore(draw, sentence="I like tea", **options)
    return explorer, explorer.controls["sentence"]


def test_one_text_is_a_box_to_type_into():
    explorer, box = typed()
    assert type(box).__name__ == "Text"
    assert (box.value, box.description, box.continuous_update) == ("I like tea", "sentence", False)
    box.value = "我喜欢喝茶"
    assert repr(explorer) == "我喜欢喝茶"
    assert explorer.values == {"sentence": "我喜欢喝茶"}
    assert explorer.choices == {}
    explorer.choose(sentence="tea")
    assert box.value == "tea"


@pytest.mark.parametrize(
    "said, drawn",
    [
        ("  two   words\n", "two words"),
        ("a\x00b\x1b[31mc\x07", "ab[31mc"),
        ("half \ud83d of one", "half of one"),
        ("turn \u202eround", "turn round"),
        ("\U0001f469\u200d\U0001f52c likes 茶 and чай", "\U0001f469\u200d\U0001f52c likes 茶 and чай"),
        ("x" * 200, "x" * 200),
        ("&lt;<b>$**", "&lt;<b>$**"),
    ],
)
def test_what_is_typed_is_one_clean_line(said, drawn):
    told = []
    _, box = typed(lambda sentence: told.append(sentence) or sentence)
    box.value = said
    assert told == ["I like tea", drawn]


@pytest.mark.parametrize(
    "said, words",
    [
        ("", "There is no text yet.\nWhat to do: Type a sentence, then press Enter."),
        (" \t\u3000", "There is no text yet."),
        ("\x00\u200b\ud800", "There is no text yet."),
        ("x" * 10_000, "10,000 characters are more than one picture can hold."),
    ],
)
def test_a_text_that_cannot_be_drawn_gets_words_until_there_is_another(said, words):
    explorer, box = typed(lambda sentence, n: sentence * n, n=[1, 2])
    box.value = said
    assert words in image(explorer) and markdown(explorer) == ()
    assert "cannot be drawn" not in image(explorer)
    explorer.controls["n"].value = 2
    assert words in image(explorer), "the text in the box is the same, and so is the answer"
    box.value = "tea"
    assert (repr(explorer), image(explorer)) == ("teatea", "")


def test_a_good_choice_from_code_ends_a_refusal():
    explorer, box = typed()
    box.value = ""
    explorer.choose(sentence="coffee")
    assert (image(explorer), box.value, repr(explorer)) == ("", "coffee", "coffee")


def test_typing_without_end_does_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(widgets, "_MOST_KEPT", 3)
    explorer, box = typed()
    for k in range(9):
        box.value = f"text {k}"
    assert [drawn.words for drawn in explorer._kept.values()] == ["text 6", "text 7", "text 8"]


def file_of(array, name="me.png"):
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "png")
    content = memoryview(stream.getvalue())
    return {
        "name": name,
        "type": "image/png",
        "size": len(content),
        "content": content,
        "last_modified": datetime(2026, 1, 1),
    }


def uploaded(**options):
    got = []

    def look(picture, **_):
        got.append(picture)
        return f"{picture.shape} {picture.mean():.0f}"

    explorer = show.explore(look, picture=show.Upload(np.full((10, 20, 3), 7, np.uint8)), **options)
    return explorer, explorer.controls["picture"], got


def test_an_upload_is_a_button_that_gives_an_array():
    explorer, button, got = uploaded()
    assert type(button).__name__ == "FileUpload"
    assert (button.accept, button.multiple) == ("image/*", False)
    assert button.description == "picture: a picture of yours, at most 9 MB"
    assert repr(explorer) == "(10, 20, 3) 7"
    button.value = (file_of(np.full((12, 30), 200, np.uint8)),)
    assert repr(explorer) == "(12, 30, 3) 200"
    assert got[-1].dtype == np.uint8
    assert explorer.values["picture"] is got[-1]


def test_a_file_that_is_no_picture_gets_words_until_there_is_another():
    explorer, button, got = uploaded(n=[1, 2])
    button.value = (
        file_of(np.zeros((9, 9), np.uint8)) | {"content": memoryview(b"<svg>"), "name": "<a>.svg"},
    )
    assert "&lt;a&gt;.svg is not a picture that can be read.\nWhat to do: Choose a photograph" in image(
        explorer
    )
    explorer.controls["n"].value = 2
    assert "is not a picture" in image(explorer)
    assert len(got) == 1
    button.value = (file_of(np.zeros((9, 9), np.uint8)),)
    assert (image(explorer), repr(explorer)) == ("", "(9, 9, 3) 0")


def test_the_same_picture_is_drawn_once_and_code_may_give_one():
    explorer, button, got = uploaded()
    button.value = (file_of(np.full((9, 9), 5, np.uint8)),)
    explorer.choose(picture=np.full((9, 9, 3), 6, np.uint8))
    assert button.value == (), "the file is not what is shown"
    button.value = (file_of(np.full((9, 9), 5, np.uint8), "again.png"),)
    assert [int(picture[0, 0, 0]) for picture in got] == [7, 5, 6]
    assert repr(explorer) == "(9, 9, 3) 5"


def test_the_panel_says_that_it_works_while_it_draws():
    seen = []

    def draw(k):
        seen.append("carryover-working" in explorers[0].widget._dom_classes if explorers else None)
        if k == 3:
            raise ValueError
        return str(k)

    explorers = []
    explorers.append(show.explore(draw, k=[1, 2, 3]))
    for k in (2, 3):
        explorers[0].controls["k"].value = k
    assert seen == [None, True, True]
    assert "carryover-working" not in explorers[0].widget._dom_classes


def test_what_it_says_is_read_out_and_waits_for_200_ms(explorer):
    _, status, _ = explorer.widget.children
    assert '<div role="status" aria-live="polite"><span class="carryover-busy">Working…' in status.value
    assert "animation: carryover-late 1ms 0.2s both" in status.value
    assert "This control no longer answers" in status.value


def test_moves_from_two_threads_end_in_what_the_controls_say():
    met = threading.Barrier(2)

    def draw(a, b):
        return f"{a} {b}"

    explorer = show.explore(draw, a=list(range(50)), b=list(range(50)))
    controls = explorer.controls

    def move(name):
        met.wait()
        for k in range(50):
            controls[name].value = k

    threads = [threading.Thread(target=move, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert explorer.values == {"a": 49, "b": 49}
    assert markdown(explorer)[0]["data"]["text/plain"] == "49 49"


def test_labels():
    explorer = show.explore(
        lambda learning_rate, l2: "", learning_rate=[1, 2], l2=[1, 2], labels={"l2": "pull to the start"}
    )
    assert [c.description for c in explorer.controls.values()] == ["learning rate", "pull to the start"]
    assert {c.style.description_width for c in explorer.controls.values()} == {"initial"}


def test_choose_moves_the_controls_and_draws_once(explorer, recorder):
    controls = explorer.controls
    assert explorer.choose(side=3, colour="red") is explorer
    assert recorder.calls[1:] == [{"side": 3, "colour": "red"}]
    assert (controls["side"].value, controls["colour"].value) == (3, "red")
    assert 'alt="A red bar of 3."' in image(explorer)
    assert repr(explorer) == "Picture: A red bar of 3."


def test_a_choice_that_fails_in_code_leaves_all_as_it_was():
    explorer = show.explore(lambda x: str(1 / x), x=[1, 0])
    with pytest.raises(ZeroDivisionError):
        explorer.choose(x=0)
    assert explorer.values == {"x": 1}
    assert repr(explorer) == "1.0"


@pytest.mark.parametrize(
    "error, words",
    [
        (ValueError("too <large>"), "ValueError: too &lt;large&gt;"),
        (BadInput("Too large.", "Take less."), "Too large.\nWhat to do: Take less."),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
    ],
)
def test_an_error_is_told_and_the_control_lives_on(error, words):
    failing = [True]

    def draw(k):
        if k == 2 and failing:
            raise error
        return square(k)

    explorer = show.explore(draw, k=[1, 2, 3])
    control = explorer.controls["k"]
    control.value = 2
    assert words in image(explorer)
    assert "<img" not in image(explorer), "an old picture beside a new value would lie"
    control.value = 3
    assert 'alt="A blue bar of 3."' in image(explorer)
    failing.clear()
    control.value = 2
    assert 'alt="A blue bar of 2."' in image(explorer), "a failure is not kept"


def test_an_error_at_the_start_is_raised_in_the_cell():
    with pytest.raises(ZeroDivisionError):
        show.explore(lambda k: 1 / k, k=[0])


def test_markdown():
    explorer = show.explore(lambda k: f"It is **{k}**.", k=[1, 2])
    data, _ = explorer._repr_mimebundle_()
    assert data == {"text/markdown": "It is **1**.", "text/plain": "It is 1."}
    explorer.controls["k"].value = 2
    (output,) = markdown(explorer)
    assert output["data"]["text/markdown"] == "It is **2**."
    assert image(explorer) == ""


def test_a_table_and_a_text_take_each_others_place():
    class Table:
        def _repr_html_(self):
            return "<table></table>"

        def __repr__(self):
            return "a table"

    explorer = show.explore(lambda k: Table() if k else "none", k=[1, 0])
    assert explorer._repr_mimebundle_()[0] == {"text/html": "<table></table>", "text/plain": "a table"}
    assert (image(explorer), markdown(explorer)) == ("<table></table>", ())
    explorer.controls["k"].value = 0
    assert (image(explorer), len(markdown(explorer))) == ("", 1)


@pytest.mark.parametrize(
    "options, words",
    [
        ({}, "There is nothing to choose"),
        ({"k": []}, "k has no choices.\nWhat to do: Give a list: k="),
        ({"k": b"abc"}, "k=b'abc' is not a list of choices"),
        ({"k": " \n"}, "There is no text yet"),
        ({"k": "a", "start": {"k": 3}}, "k=3 is not a text.\nWhat to do: Give a str: k="),
        ({"k": show.Upload(np.zeros((9, 9), np.uint8)), "start": {"k": "a.png"}}, r"is an array \(\) of <U5"),
        ({"k": 3}, "k=3 is not a list"),
        ({"k": {"a": 1}}, "is not a list"),
        ({"k": [1, 1.0]}, "k has the choice 1.0 more than once"),
        ({"k": [[1], [2]]}, r"k has the choice \[1\]; expected numbers, strings or booleans"),
        ({"k": [1, float("nan")]}, "k has the choice nan"),
        ({"k": [1, 2], "start": {"k": 3}}, "k=3 is not among its 2 choices.\nWhat to do: Choose 1 or 2"),
        ({"k": ["block4", "head"], "start": {"k": "blok4"}}, "Choose 'block4'"),
        ({"k": [1, 2], "start": {"j": 1}}, "There is no option 'j'.\nWhat to do: Did you mean k"),
        ({"k": [1, 2], "labels": {"kk": "x"}}, "There is no option 'kk'"),
        ({"k": [1], "j": [1]}, r"takes \(k\), the options are k, j: got an unexpected keyword argument 'j'"),
        ({"j": [1]}, "missing a required argument: 'k'"),
    ],
)
def test_bad_options(options, words):
    with pytest.raises(BadInput, match=words):
        show.explore(lambda k: "", **options)


def test_true_is_not_one():
    with pytest.raises(BadInput, match="k=True is not among"):
        show.explore(lambda k: "", k=[1, 2], start={"k": True})


@pytest.mark.parametrize("made, words", [(None, "returned nothing"), (3, "returned an object of type int")])
def test_nothing_to_show(made, words):
    with pytest.raises(BadInput, match=words):
        show.explore(lambda k: made, k=[1])


def test_choose_checks_its_values(explorer):
    with pytest.raises(BadInput, match=r"side=4 is not among its 3 choices\.\n.*Choose 1 or 2 or 3"):
        explorer.choose(side=4)


def test_no_kernel_no_ipywidgets():
    program = (
        "import sys; from course_lib import show; e = show.explore(lambda k: str(k), k=[1, 2]); "
        "print(e.choose(k=2), e._repr_mimebundle_()[0]); assert 'ipywidgets' not in sys.modules"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert told == "2 {'text/markdown': '2', 'text/plain': '2'}\n"


KERNEL = """
from course_lib import show
from course_lib.show.style import panels

def draw(learning_rate):
    figure, ((axes,),) = panels(figsize=(2, 1))
    axes.barh([0], [learning_rate])
    return show.Picture(figure, f"A bar of {learning_rate}.")

trial = show.explore(draw, learning_rate=[0.1, 1.0], start={"learning_rate": 1.0})
trial
"""


@pytest.fixture(scope="module")
def executed():
    """A notebook run in a real kernel, and the comms that its widgets opened."""
    moved = "trial.controls['learning_rate'].value = 0.1; trial.values"
    cells = [KERNEL, moved, "show.explore(str, object=[7])"]
    notebook = new_notebook(cells=[new_code_cell(source) for source in cells])
    notebook.cells[0].id = "explore"
    opened = []

    class Client(NotebookClient):
        def process_message(self, msg, cell, cell_index):
            if msg["msg_type"] == "comm_open":
                opened.append((msg["content"]["comm_id"], msg["content"]["data"]["state"]))
            return super().process_message(msg, cell, cell_index)

    Client(notebook, kernel_name="python3", timeout=120, store_widget_state=False).execute()
    return notebook, dict(opened)


def test_a_kernel_sends_the_control_the_picture_and_a_note(executed):
    notebook, opened = executed
    control, picture, note = notebook.cells[0].outputs
    assert control.data[widgets.VIEW]["model_id"] in opened
    assert list(control.data) == [widgets.VIEW], "nothing else of it is to be kept"
    assert picture.data["text/plain"] == "Picture: A bar of 1.0."
    assert picture.metadata["image/png"]["alt"] == "A bar of 1.0."
    assert base64.b64decode(picture.data["image/png"]).startswith(b"\x89PNG")
    assert note.data["text/plain"].startswith(
        "A control to try: in JupyterLab (make lab), run the cells up to"
    )
    (slider,) = [state for state in opened.values() if state["_model_name"] == "SelectionSliderModel"]
    assert (slider["description"], slider["index"]) == ("learning rate", 1)
    assert list(slider["_options_labels"]) == ["0.1", "1"]
    assert notebook.cells[1].outputs[0].data["text/plain"] == "{'learning_rate': 0.1}"


def test_what_is_committed_has_the_picture_and_no_model(executed):
    notebook, _ = executed
    kept = committed(notebook, Record("ok", "run", "key", "none", 1.0, 0))
    text = nbformat.writes(kept)
    assert widgets.VIEW not in text and "model_id" not in text
    assert text.count('"image/png": "') == 1
    assert [list(output.data) for output in kept.cells[0].outputs] == [
        ["image/png", "text/plain"],
        ["text/html", "text/plain"],
    ]


@pytest.mark.parametrize("kept", [False, True])
def test_a_page_shows_one_picture_with_its_words(executed, kept):
    notebook, _ = executed
    if kept:
        notebook = committed(notebook, Record("ok", "run", "key", "none", 1.0, 0))
    page = body(notebook)
    assert page.count("<img") == 1
    assert 'alt="A bar of 1.0."' in page
    assert page.count("A control to try") == 2, "the text of the third cell has a control too"
    assert "<p>7</p>" in page
    assert "model_id" not in page


def test_a_page_of_a_bare_widget_has_its_note_only():
    data = {widgets.VIEW: {"model_id": "a"}, "text/plain": "IntSlider()"}
    page = body(new_notebook(cells=[new_code_cell("", outputs=[new_output("display_data", data=data)])]))
    assert "A control to try" in page and "IntSlider" not in page
