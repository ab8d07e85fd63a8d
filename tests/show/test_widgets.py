"""Controls call the drawing function and change what is shown; without them the picture stands still."""

import base64
import subprocess
import sys

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook, new_output

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
    return explorer.widget.children[1].value


def markdown(explorer):
    return explorer.widget.children[2].outputs


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
        ({"k": "abc"}, "k='abc' is not a list of choices"),
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


def test_a_kernel_sends_the_control_and_the_picture(executed):
    notebook, opened = executed
    (output,) = notebook.cells[0].outputs
    assert output.data[widgets.VIEW]["model_id"] in opened
    assert output.data["text/plain"] == "Picture: A bar of 1.0."
    assert output.metadata["image/png"]["alt"] == "A bar of 1.0."
    assert base64.b64decode(output.data["image/png"]).startswith(b"\x89PNG")
    (slider,) = [state for state in opened.values() if state["_model_name"] == "SelectionSliderModel"]
    assert (slider["description"], slider["index"]) == ("learning rate", 1)
    assert list(slider["_options_labels"]) == ["0.1", "1"]
    assert notebook.cells[1].outputs[0].data["text/plain"] == "{'learning_rate': 0.1}"


def test_what_is_committed_has_the_picture_and_no_model(executed):
    notebook, _ = executed
    text = nbformat.writes(committed(notebook, Record("ok", "run", "key", "none", 1.0, 0)))
    assert widgets.VIEW not in text and "model_id" not in text
    assert text.count('"image/png": "') == 1


def test_a_page_shows_one_picture_with_its_words(executed):
    notebook, _ = executed
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
