"""Controls to try things with: what is drawn follows a slider; where nothing can follow, it stands still."""

from __future__ import annotations

import base64
import difflib
import inspect
import math
import numbers
import struct
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from course_lib.errors import BadInput, CourseError

VIEW = "application/vnd.jupyter.widget-view+json"
"""The type under which a running notebook finds a control; `course run` does not keep it."""

Choice = str | int | float | bool | None


@dataclass(frozen=True)
class _Drawn:
    """What `draw` made of one combination, without the figure behind it: many of these are kept."""

    data: dict[str, Any]
    metadata: dict[str, Any]
    words: str

    def html(self) -> str:
        """Return it as an element that holds its place on the page from the start."""
        if "image/png" not in self.data:
            return str(self.data.get("text/html", ""))
        png, about = self.data["image/png"], self.metadata["image/png"]
        across, down = struct.unpack(">II", png[16:24])
        height = round(about["width"] * down / across)
        return (
            f'<img src="data:image/png;base64,{base64.b64encode(png).decode()}" alt="{escape(about["alt"])}" '
            f'width="{about["width"]}" height="{height}" style="max-width:100%;height:auto">'
        )


class Explorer:
    """A drawing function with a control for each of its arguments; made by `explore`.

    Attributes
    ----------
    values : dict of str to object
        What the controls say now.
    choices : dict of str to tuple
        What they can say.
    """

    def __init__(
        self,
        draw: Callable[..., Any],
        choices: Mapping[str, tuple[Choice, ...]],
        values: Mapping[str, Choice],
        labels: Mapping[str, str],
    ) -> None:
        self.choices, self.values = dict(choices), dict(values)
        self.labels = dict(labels)
        self._draw = draw
        self._kept: dict[tuple[int, ...], _Drawn] = {}
        self._panel: _Panel | None = None
        self._now = self._drawn()

    def choose(self, **values: Choice) -> Explorer:
        """Set some of the controls, as a hand on them would.

        Raises
        ------
        BadInput
            For a control or a value that is not among the choices.
        """
        chosen = self.values | _chosen(values, self.choices)
        before, self.values = self.values, chosen
        try:
            self._now = self._drawn()
        except BaseException:
            self.values = before
            raise
        if self._panel is not None:
            self._panel.follow(chosen, self._now)
        return self

    def _drawn(self) -> _Drawn:
        """Return what belongs to the values, drawn once for each combination."""
        key = tuple(_place(self.choices[name], value) for name, value in self.values.items())
        if key not in self._kept:
            self._kept[key] = _drawing(self._draw(**self.values))
        return self._kept[key]

    def _moved(self, name: str, value: Choice) -> None:
        """Draw what a control asks for; an error is told, for the next move may be a good one."""
        assert self._panel is not None
        self.values = self.values | {name: value}
        try:
            self._now = self._drawn()
        except CourseError as error:
            self._panel.tell(str(error))
        except (Exception, KeyboardInterrupt) as error:
            self._panel.tell(f"{type(error).__name__}: {error}".rstrip(": "))
        else:
            self._panel.show(self._now)

    @property
    def widget(self) -> Any:
        """The controls above the picture, as an ipywidgets.VBox."""
        return self.panel.box

    @property
    def controls(self) -> dict[str, Any]:
        """The ipywidgets control of each argument."""
        return self.panel.controls

    @property
    def panel(self) -> _Panel:
        """The widgets, made when they are first asked for."""
        if self._panel is None:
            self._panel = _Panel(self.choices, self.values, self.labels, self._moved)
            self._panel.show(self._now)
        return self._panel

    def __repr__(self) -> str:
        return self._now.words

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        data, metadata = dict(self._now.data), dict(self._now.metadata)
        if _in_kernel():
            data[VIEW] = {"version_major": 2, "version_minor": 0, "model_id": self.widget.model_id}
        return data, metadata


def explore(
    draw: Callable[..., Any],
    *,
    start: Mapping[str, Choice] | None = None,
    labels: Mapping[str, str] | None = None,
    **options: Iterable[Choice] | bool,
) -> Explorer:
    """Turn a drawing function into something to play with: one control for each of its arguments.

    Every combination is drawn once and kept, so that going back is instant. Where no kernel runs, as on a
    page or in a notebook that was only opened, the picture of the starting values stands with its words.

    Parameters
    ----------
    draw : callable
        Called with one keyword for each option; returns a `Picture`, a str of Markdown, or a table that has
        ``_repr_html_``. It is called at once with the starting values.
    start : dict of str to object, optional
        Where controls start. Default: at the first choice of each.
    labels : dict of str to str, optional
        What stands beside a control. Default: the option's name, with spaces for underscores.
    **options : list of number, list of str, or bool
        Numbers become a slider over just these values, a bool (or both) a box to tick, strings, or a
        mixture, a drop-down.

    Returns
    -------
    Explorer
        Shown as the last expression of a cell.

    Raises
    ------
    BadInput
        When an option has no choices or strange ones, when `start` or `labels` name something that is not
        there, when `draw` does not take the options, or returns nothing to show.

    Examples
    --------
    >>> def power(base, exponent):
    ...     return f"{base} to the power of {exponent} is **{base**exponent}**."
    >>> trial = explore(power, base=[2, 10], exponent=[1, 2, 3], start={"exponent": 3})
    >>> trial
    2 to the power of 3 is 8.
    >>> trial.choose(base=10)
    10 to the power of 3 is 1000.
    """
    if not options:
        raise BadInput("There is nothing to choose.", "Give at least one option: pixels=[64, 96, 128].")
    choices = {name: _choices(name, given) for name, given in options.items()}
    values = {name: given if isinstance(given, bool) else choices[name][0] for name, given in options.items()}
    values |= _chosen(start or {}, choices)
    words = {name: name.replace("_", " ") for name in choices}
    for name in labels or {}:
        _known(name, choices)
    _check_signature(draw, choices)
    return Explorer(draw, choices, values, words | dict(labels or {}))


class _Panel:
    """The widgets of one `Explorer`."""

    def __init__(
        self,
        choices: Mapping[str, tuple[Choice, ...]],
        values: Mapping[str, Choice],
        labels: Mapping[str, str],
        moved: Callable[[str, Choice], None],
    ) -> None:
        import ipywidgets

        self._silent = False
        self.controls = {name: _control(choices[name], values[name], labels[name]) for name in choices}
        self._picture = ipywidgets.HTML()
        self._markdown = ipywidgets.Output()
        row = ipywidgets.HBox(
            list(self.controls.values()), layout=ipywidgets.Layout(flex_flow="row wrap", grid_gap="0 24px")
        )
        self.box = ipywidgets.VBox([row, self._picture, self._markdown])
        for name, control in self.controls.items():
            control.observe(self._heard(name, moved), "value")

    def _heard(self, name: str, moved: Callable[[str, Choice], None]) -> Callable[[Any], None]:
        def heard(change: Any) -> None:
            if not self._silent:
                moved(name, change["new"])

        return heard

    def follow(self, values: Mapping[str, Choice], drawn: _Drawn) -> None:
        """Set the controls without drawing for each of them, and show what was drawn."""
        self._silent = True
        try:
            for name, value in values.items():
                self.controls[name].value = value
        finally:
            self._silent = False
        self.show(drawn)

    def show(self, drawn: _Drawn) -> None:
        """Show a picture, a table or a text in the place of the last one."""
        markdown = {key: drawn.data[key] for key in ("text/markdown", "text/plain") if key in drawn.data}
        texts = ({"output_type": "display_data", "data": markdown, "metadata": {}},)
        self._markdown.outputs = texts if "text/markdown" in drawn.data else ()
        self._picture.value = drawn.html()

    def tell(self, problem: str) -> None:
        """Show words where the picture was: an old picture beside new values would mislead."""
        self._markdown.outputs = ()
        self._picture.value = (
            '<div role="alert" style="white-space:pre-wrap;border-left:4px solid #7A2E00;padding:0 0.8em">'
            f"<b>This choice cannot be drawn.</b>\n{escape(problem)}</div>"
        )


def _control(choices: tuple[Choice, ...], value: Choice, label: str) -> Any:
    """Return the widget for some choices."""
    import ipywidgets

    style = {"description_width": "initial"}  # the default cuts long names
    if _are_bool(choices):
        wide = ipywidgets.Layout(width="auto")
        return ipywidgets.Checkbox(value=value, description=label, indent=False, layout=wide)
    slides = len(choices) > 1 and _are_numbers(choices)
    kind = ipywidgets.SelectionSlider if slides else ipywidgets.Dropdown
    room = max(len(_shown(choice)) for choice in choices)
    across = f"{260 + 8 * (room + len(label))}px" if slides else f"{60 + 9 * (room + len(label))}px"
    return kind(
        options=[(_shown(choice), choice) for choice in choices],
        value=value,
        description=label,
        style=style,
        layout=ipywidgets.Layout(width=across, max_width="100%"),
    )


def _shown(choice: Choice) -> str:
    """Return a choice as a control shows it.

    Examples
    --------
    >>> [_shown(choice) for choice in (5000, 0.10000000000000001, 1e-5, "block4", None)]
    ['5,000', '0.1', '1e-05', 'block4', 'none']
    """
    if choice is None:
        return "none"
    if isinstance(choice, bool | str):
        return str(choice)
    return f"{choice:,}" if isinstance(choice, int) else f"{choice:g}"


def _choices(name: str, given: Any) -> tuple[Choice, ...]:
    """Return the choices of one option as plain values.

    Examples
    --------
    >>> import numpy as np
    >>> _choices("rate", np.array([0.5, 1])), _choices("flip", True)
    ((0.5, 1.0), (False, True))
    """
    example = f"Give a list: {name}=[0.01, 0.1, 1] or {name}=['a', 'b']."
    if isinstance(given, bool):
        return (False, True)
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise BadInput(f"{name}={given!r} is not a list of choices.", example)
    found = tuple(_plain(name, one, example) for one in given)
    if not found:
        raise BadInput(f"{name} has no choices.", example)
    twice = [one for k, one in enumerate(found) if _place(found, one) != k]
    if twice:
        raise BadInput(f"{name} has the choice {twice[0]!r} more than once.", "Give each choice once.")
    return found


def _plain(name: str, value: Any, example: str) -> Choice:
    """Return one choice as Python's own type; NumPy's numbers do not travel to the browser."""
    item = value.item() if hasattr(value, "item") and not getattr(value, "shape", ()) else value
    if item is None or isinstance(item, bool | str | int):
        return item
    if isinstance(item, numbers.Real) and not math.isnan(item):
        return float(item)
    raise BadInput(f"{name} has the choice {value!r}; expected numbers, strings or booleans.", example)


def _place(choices: tuple[Choice, ...], value: Any) -> int:
    """Return where a value is among the choices, -1 if nowhere; 1 and True are two things."""
    return next(
        (k for k, one in enumerate(choices) if one == value and isinstance(one, bool) == _is_bool(value)), -1
    )


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool) or type(value).__name__ in ("bool", "bool_")


def _are_bool(choices: tuple[Choice, ...]) -> bool:
    return len(choices) == 2 and all(isinstance(one, bool) for one in choices)


def _are_numbers(choices: Iterable[Any]) -> bool:
    return all(isinstance(one, int | float) and not isinstance(one, bool) for one in choices)


def _known(name: str, choices: Mapping[str, Any]) -> None:
    if name not in choices:
        near = difflib.get_close_matches(name, list(choices), 3, 0.5) or list(choices)
        raise BadInput(f"There is no option {name!r}.", f"Did you mean {' or '.join(near)}?")


def _chosen(values: Mapping[str, Any], choices: Mapping[str, tuple[Choice, ...]]) -> dict[str, Choice]:
    """Return values as they stand among the choices.

    Raises
    ------
    BadInput
        With the nearest choices, when one is not among them.
    """
    found = {}
    for name, value in values.items():
        _known(name, choices)
        place = _place(choices[name], value)
        if place < 0:
            near = " or ".join(repr(one) for one in _nearest(choices[name], value))
            raise BadInput(
                f"{name}={value!r} is not among its {len(choices[name])} choices.", f"Choose {near}."
            )
        found[name] = choices[name][place]
    return found


def _nearest(choices: tuple[Choice, ...], value: Any) -> list[Choice]:
    """Return up to three choices that somebody who wrote `value` may have meant.

    Examples
    --------
    >>> _nearest((0.01, 0.1, 1, 10), 0.2)
    [0.01, 0.1, 1]
    >>> _nearest(("block4", "block5", "head"), "blok4")
    ['block4', 'block5']
    """
    if _are_numbers([value, *choices]):
        near = sorted(choices, key=lambda one: abs(float(one or 0) - value))[:3]
        return [one for one in choices if one in near]
    names = [one for one in choices if isinstance(one, str)]
    return [*difflib.get_close_matches(str(value), names, 3, 0.5)] or list(choices[:8])


def _check_signature(draw: Callable[..., Any], choices: Mapping[str, Any]) -> None:
    """Raise `BadInput` unless `draw` can be called with these keywords."""
    try:
        signature = inspect.signature(draw)
    except (TypeError, ValueError):  # some functions written in C do not tell; calling them will
        return
    try:
        signature.bind(**choices)
    except TypeError as error:
        raise BadInput(
            f"The drawing function takes {signature}, the options are {', '.join(choices)}: {error}.",
            "Give one option for each argument, under its name.",
        ) from None


def _drawing(made: Any) -> _Drawn:
    """Return what `draw` returned in the forms that notebooks show."""
    if isinstance(made, str):
        plain = made.replace("**", "")
        return _Drawn({"text/markdown": made, "text/plain": plain}, {}, plain)
    if hasattr(made, "png") and hasattr(made, "alt"):
        about = {"alt": made.alt, "width": made.width}
        return _Drawn({"image/png": made.png, "text/plain": repr(made)}, {"image/png": about}, repr(made))
    if hasattr(made, "_repr_html_"):
        return _Drawn({"text/html": made._repr_html_(), "text/plain": repr(made)}, {}, repr(made))
    what = "nothing" if made is None else f"an object of type {type(made).__name__}"
    raise BadInput(
        f"The drawing function returned {what}; expected a Picture or a str of Markdown.",
        "Return what show.bars and its like return; a matplotlib figure as show.Picture(figure, alt).",
    )


def _in_kernel() -> bool:
    """Tell whether a kernel runs that could hear a control."""
    if "ipykernel" not in sys.modules:
        return False
    from IPython.core.getipython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None
