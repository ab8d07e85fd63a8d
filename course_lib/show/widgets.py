"""Controls to try things with: what is drawn follows a slider; where nothing can follow, it stands still."""

from __future__ import annotations

import base64
import difflib
import inspect
import re
import struct
import sys
import threading
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from course_lib.errors import BadInput, CourseError
from course_lib.show.controls import Choice, Kind, Listed, kind_of
from course_lib.show.upload import Upload

VIEW = "application/vnd.jupyter.widget-view+json"
"""The type under which a running notebook finds a control; `course run` does not keep it."""

STILL_FOLLOWS = "still follows"
"""Marks the output of a control that brings its still picture and a note along as the next two outputs."""

STILL = (
    '<p class="not-here carryover-still">A control to try: in JupyterLab (<code>make lab</code>), '
    "run the cells up to this one and move it.</p>\n"
    "<style>.jp-OutputArea-child:has(.jupyter-widgets):not(:has(.carryover-explore))"
    ":has(+ .jp-OutputArea-child + .jp-OutputArea-child .carryover-still) { display: none }</style>"
)
"""What stands below the still picture. JupyterLab writes "Error displaying widget: model not found" where the
controls of a kernel that is gone were; the style hides it, for the picture and this line take its place."""

_MOST_KEPT = 256  # drawings of one explorer: a typed text has no end of values


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
        What is drawn with: what the controls say now.
    choices : dict of str to tuple
        What they can say, where that is a list: not for a text or a picture.
    """

    def __init__(
        self,
        draw: Callable[..., Any],
        kinds: Mapping[str, Kind],
        values: Mapping[str, Any],
        labels: Mapping[str, str],
    ) -> None:
        self.values = dict(values)
        self.choices = {name: kind.choices for name, kind in kinds.items() if isinstance(kind, Listed)}
        self.labels = dict(labels)
        self._kinds = dict(kinds)
        self._draw = draw
        self._kept: dict[tuple[Hashable, ...], _Drawn] = {}
        self._refused: dict[str, BadInput] = {}
        self._panel: _Panel | None = None
        # JupyterLab lets controls speak in a thread beside the one that runs cells
        self._turn = threading.RLock()
        self._now = self._drawn()

    def choose(self, **values: Any) -> Explorer:
        """Set some of the controls, as a hand on them would.

        Raises
        ------
        BadInput
            For a control or a value that is not among the choices.
        """
        with self._turn:
            chosen = self.values | _checked(values, self._kinds)
            before, self.values = self.values, chosen
            try:
                self._now = self._drawn()
            except BaseException:
                self.values = before
                raise
            self._refused = {}
            if self._panel is not None:
                self._panel.follow(chosen, self._now)
        return self

    @property
    def _key(self) -> tuple[Hashable, ...]:
        return tuple(self._kinds[name].key(value) for name, value in self.values.items())

    def _drawn(self) -> _Drawn:
        """Return what belongs to the values, drawn once for each combination."""
        key = self._key
        if key not in self._kept:
            self._kept[key] = _drawing(self._draw(**self.values))
            if len(self._kept) > _MOST_KEPT:
                del self._kept[next(iter(self._kept))]
        return self._kept[key]

    def _moved(self, name: str, said: Any) -> None:
        """Draw what a control asks for; an error is told, for the next move may be a good one."""
        assert self._panel is not None
        with self._turn:
            self._panel.work(True)
            try:
                self._hear(name, said)
                self._now = self._drawn()
            except CourseError as error:
                self._panel.tell(str(error), "" if self._refused else _CANNOT)
            except (Exception, KeyboardInterrupt) as error:
                self._panel.tell(f"{type(error).__name__}: {error}".rstrip(": "), _CANNOT)
            else:
                self._panel.show(self._now)
            finally:
                self._panel.work(False)

    def _hear(self, name: str, said: Any) -> None:
        """Take over what a control says; what cannot be drawn stays refused until that control says more."""
        self._refused.pop(name, None)
        try:
            self.values = self.values | {name: self._kinds[name].heard(said)}
        except BadInput as error:
            self._refused[name] = error
        for refusal in self._refused.values():
            raise refusal

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
        with self._turn:
            if self._panel is None:
                self._panel = _Panel(self._kinds, self.values, self.labels, self._moved)
                self._panel.show(self._now)
        return self._panel

    def __repr__(self) -> str:
        return self._now.words

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        return dict(self._now.data), dict(self._now.metadata)

    def _ipython_display_(self) -> None:
        """Show the controls where a kernel hears them, and after them what stands still.

        A notebook opened later has lost the controls; then the still picture and a line are all there is.
        While the controls are there, they hide both (see `_STYLE`).
        """
        from IPython.display import display

        data, metadata = self._repr_mimebundle_()
        if not _in_kernel():
            display(data, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]
            return
        view = {"version_major": 2, "version_minor": 0, "model_id": self.widget.model_id}
        display({VIEW: view}, metadata={"carryover": STILL_FOLLOWS}, raw=True)  # type: ignore[no-untyped-call]
        display(data, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]
        display({"text/html": STILL, "text/plain": _plain(STILL.splitlines()[0])}, raw=True)  # type: ignore[no-untyped-call]


def explore(
    draw: Callable[..., Any],
    *,
    start: Mapping[str, Any] | None = None,
    labels: Mapping[str, str] | None = None,
    **options: Iterable[Choice] | bool | str | Upload,
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
        Where controls start. Default: at the first choice of each, at the text and the picture given.
    labels : dict of str to str, optional
        What stands beside a control. Default: the option's name, with spaces for underscores.
    **options : list of number, list of str, bool, str, or Upload
        Numbers become a slider over just these values, a bool (or both) a box to tick, strings, or a
        mixture, a drop-down. One str becomes a box to type another text into, at most 200 characters; an
        `Upload` a button for a picture of one's own, which `draw` gets as uint8 ``(height, width, 3)``.

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
    >>> explore(lambda sentence: f"{len(sentence.split())} words", sentence="I like tea")
    3 words
    """
    if not options:
        raise BadInput("There is nothing to choose.", "Give at least one option: pixels=[64, 96, 128].")
    kinds = {name: kind_of(name, given) for name, given in options.items()}
    values = {name: kind.start for name, kind in kinds.items()} | _checked(start or {}, kinds)
    words = {name: name.replace("_", " ") for name in kinds}
    for name in labels or {}:
        _known(name, kinds)
    _check_signature(draw, kinds)
    return Explorer(draw, kinds, values, words | dict(labels or {}))


_CANNOT = "This choice cannot be drawn."

_STYLE = """<style>
@keyframes carryover-late { from { visibility: hidden } to { visibility: visible } }
@keyframes carryover-pale { from { opacity: 1 } to { opacity: 0.35 } }
.carryover-status { min-height: 1.6em }
.carryover-busy, .carryover-gone { display: none }
.carryover-working .carryover-busy { display: block; animation: carryover-late 1ms 0.2s both }
.carryover-working .carryover-drawing { animation: carryover-pale 1ms 0.2s both }
.carryover-drawing .widget-html:has(> .widget-html-content:empty) { display: none }
.carryover-explore.jupyter-widgets-disconnected .carryover-gone { display: block }
.carryover-explore.jupyter-widgets-disconnected .carryover-busy { display: none }
.carryover-explore.jupyter-widgets-disconnected .carryover-controls { opacity: 0.5; pointer-events: none }
.carryover-explore.jupyter-widgets-disconnected::before,
.carryover-explore .jupyter-widgets-disconnected::before { display: none }
.jp-OutputArea-child:has(.carryover-explore)
+ .jp-OutputArea-child:has(+ .jp-OutputArea-child .carryover-still),
.jp-OutputArea-child:has(.carryover-explore)
+ .jp-OutputArea-child + .jp-OutputArea-child:has(.carryover-still) { display: none }
</style>"""
# The browser delays "Working": a drawing that takes less than 200 ms says nothing. JupyterLab puts a broken
# chain before each of the controls of a kernel that is gone; one line of words says it better. The last rule
# hides the still copy while the moving one is there.

_STATUS = """<div role="status" aria-live="polite"><span class="carryover-busy">Working…</span>
<span class="carryover-gone"><b>This control no longer answers:</b> its kernel was restarted or has ended.
Run the notebook's cells again, up to this one (Run ▸ Run All Above Selected Cell, then Shift+Enter).</span>
</div>"""
# Both stand in a live region from the start and are uncovered by a class, so that they are read out.


class _Panel:
    """The widgets of one `Explorer`."""

    def __init__(
        self,
        kinds: Mapping[str, Kind],
        values: Mapping[str, Any],
        labels: Mapping[str, str],
        moved: Callable[[str, Any], None],
    ) -> None:
        import ipywidgets

        self._silent = False
        self._kinds = kinds
        self.controls = {name: kinds[name].control(values[name], labels[name]) for name in kinds}
        self._picture = ipywidgets.HTML()
        self._markdown = ipywidgets.Output()
        row = ipywidgets.HBox(
            list(self.controls.values()), layout=ipywidgets.Layout(flex_flow="row wrap", grid_gap="0 24px")
        )
        parts = {
            "controls": row,
            "status": ipywidgets.HTML(_STYLE + _STATUS),
            "drawing": ipywidgets.VBox([self._picture, self._markdown]),
        }
        for name, part in parts.items():
            part.add_class(f"carryover-{name}")
        self.box = ipywidgets.VBox(list(parts.values()))
        self.box.add_class("carryover-explore")
        for name, control in self.controls.items():
            control.observe(self._heard(name, moved), "value")

    def _heard(self, name: str, moved: Callable[[str, Any], None]) -> Callable[[Any], None]:
        def heard(change: Any) -> None:
            if not self._silent:
                moved(name, change["new"])

        return heard

    def follow(self, values: Mapping[str, Any], drawn: _Drawn) -> None:
        """Set the controls without drawing for each of them, and show what was drawn."""
        self._silent = True
        try:
            for name, value in values.items():
                self._kinds[name].follow(self.controls[name], value)
        finally:
            self._silent = False
        self.show(drawn)

    def work(self, begun: bool) -> None:
        """Say that something is being drawn, or no more."""
        (self.box.add_class if begun else self.box.remove_class)("carryover-working")

    def show(self, drawn: _Drawn) -> None:
        """Show a picture, a table or a text in the place of the last one."""
        markdown = {key: drawn.data[key] for key in ("text/markdown", "text/plain") if key in drawn.data}
        texts = ({"output_type": "display_data", "data": markdown, "metadata": {}},)
        self._markdown.outputs = texts if "text/markdown" in drawn.data else ()
        self._picture.value = drawn.html()

    def tell(self, problem: str, title: str) -> None:
        """Show words where the picture was: an old picture beside new values would mislead."""
        self._markdown.outputs = ()
        head = f"<b>{escape(title)}</b>\n" if title else ""
        self._picture.value = (
            '<div role="alert" style="white-space:pre-wrap;border-left:4px solid #7A2E00;padding:0 0.8em">'
            f"{head}{escape(problem)}</div>"
        )


def _known(name: str, kinds: Mapping[str, Any]) -> None:
    if name not in kinds:
        near = difflib.get_close_matches(name, list(kinds), 3, 0.5) or list(kinds)
        raise BadInput(f"There is no option {name!r}.", f"Did you mean {' or '.join(near)}?")


def _checked(values: Mapping[str, Any], kinds: Mapping[str, Kind]) -> dict[str, Any]:
    """Return values from code as the drawing function gets them.

    Raises
    ------
    BadInput
        With the nearest choices, when one is not among them.
    """
    for name in values:
        _known(name, kinds)
    return {name: kinds[name].checked(name, value) for name, value in values.items()}


def _check_signature(draw: Callable[..., Any], kinds: Mapping[str, Any]) -> None:
    """Raise `BadInput` unless `draw` can be called with these keywords."""
    try:
        signature = inspect.signature(draw)
    except (TypeError, ValueError):  # some functions written in C do not tell; calling them will
        return
    try:
        signature.bind(**kinds)
    except TypeError as error:
        raise BadInput(
            f"The drawing function takes {signature}, the options are {', '.join(kinds)}: {error}.",
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


def _plain(html: str) -> str:
    return re.sub(r"<[^>]*>", "", html)
