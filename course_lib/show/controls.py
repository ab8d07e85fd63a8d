"""Kinds of controls: what each can say, how it is checked, and the widget that says it."""

from __future__ import annotations

import difflib
import hashlib
import math
import numbers
import unicodedata
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from course_lib.errors import BadInput
from course_lib.show.upload import MOST_BYTES, Upload, as_picture, decode

Choice = str | int | float | bool | None

LONGEST_TEXT = 200
"""Characters of a typed text: a long sentence, and still a picture that can be read."""

_TURNS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # they would turn the page around as well


class Kind(Protocol):
    """What `explore` needs to know of an option."""

    @property
    def start(self) -> Any:
        """The value to begin with."""

    def checked(self, name: str, value: Any) -> Any:
        """Return a value from code as the drawing function gets it, or raise `BadInput`."""

    def heard(self, value: Any) -> Any:
        """Return what a widget says as the drawing function gets it, or raise `BadInput`."""

    def key(self, value: Any) -> Hashable:
        """Return what tells a value from all others."""

    def control(self, value: Any, label: str) -> Any:
        """Return the widget, set to a value."""

    def follow(self, control: Any, value: Any) -> None:
        """Set the widget to a value."""


@dataclass(frozen=True)
class Listed:
    """One of some choices: a slider, a drop-down or a box to tick."""

    choices: tuple[Choice, ...]
    start: Choice

    def checked(self, name: str, value: Any) -> Choice:
        """Return the value as it stands among the choices."""
        place = _place(self.choices, value)
        if place < 0:
            near = " or ".join(repr(one) for one in _nearest(self.choices, value))
            raise BadInput(
                f"{name}={value!r} is not among its {len(self.choices)} choices.", f"Choose {near}."
            )
        return self.choices[place]

    def heard(self, value: Choice) -> Choice:
        """Return the value: a widget knows no others."""
        return value

    def key(self, value: Choice) -> Hashable:
        """Return its place; 1 and True are two things."""
        return _place(self.choices, value)

    def control(self, value: Choice, label: str) -> Any:
        """Return a Checkbox, a SelectionSlider or a Dropdown."""
        import ipywidgets

        if _are_bool(self.choices):
            wide = ipywidgets.Layout(width="auto")
            return ipywidgets.Checkbox(value=value, description=label, indent=False, layout=wide)
        slides = len(self.choices) > 1 and _are_numbers(self.choices)
        kind = ipywidgets.SelectionSlider if slides else ipywidgets.Dropdown
        room = max(len(_shown(choice)) for choice in self.choices)
        across = f"{260 + 8 * (room + len(label))}px" if slides else f"{60 + 9 * (room + len(label))}px"
        return kind(
            options=[(_shown(choice), choice) for choice in self.choices],
            value=value,
            description=label,
            style={"description_width": "initial"},  # the default cuts long names
            layout=ipywidgets.Layout(width=across, max_width="100%"),
        )

    def follow(self, control: Any, value: Choice) -> None:
        """Set the widget."""
        control.value = value


@dataclass(frozen=True)
class Typed:
    """Any text of a line: a box to type into."""

    start: str

    def checked(self, name: str, value: Any) -> str:
        """Return the text without what cannot be seen."""
        if not isinstance(value, str):
            raise BadInput(f"{name}={value!r} is not a text.", f'Give a str: {name}="I like tea".')
        return clean_text(value)

    def heard(self, value: str) -> str:
        """Return the text without what cannot be seen."""
        return clean_text(value)

    def key(self, value: str) -> Hashable:
        """Return the text."""
        return value

    def control(self, value: str, label: str) -> Any:
        """Return a Text, which speaks when Enter is pressed or the box is left: half a word is no text."""
        import ipywidgets

        return ipywidgets.Text(
            value=value,
            description=label,
            placeholder="type, then press Enter",
            continuous_update=False,
            style={"description_width": "initial"},
            layout=ipywidgets.Layout(width="620px", max_width="100%"),
        )

    def follow(self, control: Any, value: str) -> None:
        """Set the widget."""
        control.value = value


@dataclass(frozen=True)
class Uploaded:
    """A picture from a file: a button that asks for one."""

    upload: Upload

    @property
    def start(self) -> np.ndarray:
        """The picture to begin with."""
        return self.upload.start

    def checked(self, name: str, value: Any) -> np.ndarray:
        """Return the picture as an array."""
        return as_picture(value)

    def heard(self, value: Any) -> np.ndarray:
        """Return the picture in the file that was chosen."""
        if not value:
            return self.start
        (file,) = value
        return decode(bytes(file["content"]), str(file["name"]))

    def key(self, value: np.ndarray) -> Hashable:
        """Return a digest of the pixels."""
        return value.shape, hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()

    def control(self, value: np.ndarray, label: str) -> Any:
        """Return a FileUpload."""
        import ipywidgets

        # a file that is too large for the line to the kernel vanishes without a word
        told = f"{label}: {self.upload.words}, at most {MOST_BYTES // 2**20} MB"
        wide = ipywidgets.Layout(width="auto", max_width="100%")
        return ipywidgets.FileUpload(
            accept="image/*", multiple=False, description=told, layout=wide, tooltip="opens a window of files"
        )

    def follow(self, control: Any, value: np.ndarray) -> None:
        """Forget the file: the picture is another one now."""
        control.value = ()


def kind_of(name: str, given: Any) -> Kind:
    """Return the kind of control that an option asks for.

    Examples
    --------
    >>> import numpy as np
    >>> kind_of("rate", np.array([0.5, 1]))
    Listed(choices=(0.5, 1.0), start=0.5)
    >>> kind_of("flip", True), kind_of("sentence", "I like tea")
    (Listed(choices=(False, True), start=True), Typed(start='I like tea'))
    """
    example = f"Give a list: {name}=[0.01, 0.1, 1] or {name}=['a', 'b']."
    if isinstance(given, bool):
        return Listed((False, True), given)
    if isinstance(given, str):
        return Typed(clean_text(given))
    if isinstance(given, Upload):
        return Uploaded(given)
    if isinstance(given, bytes | Mapping) or not isinstance(given, Iterable):
        raise BadInput(f"{name}={given!r} is not a list of choices.", example)
    found = tuple(_plain(name, one, example) for one in given)
    if not found:
        raise BadInput(f"{name} has no choices.", example)
    twice = [one for k, one in enumerate(found) if _place(found, one) != k]
    if twice:
        raise BadInput(f"{name} has the choice {twice[0]!r} more than once.", "Give each choice once.")
    return Listed(found, found[0])


def clean_text(text: str) -> str:
    r"""Return a typed text in one line, without control characters and halves of characters.

    Raises
    ------
    BadInput
        When nothing is left, or more than a picture can hold.

    Examples
    --------
    >>> clean_text(" I like\t tea\x07 ")
    'I like tea'
    """
    if len(text) > LONGEST_TEXT:
        raise BadInput(
            f"{len(text):,} characters are more than one picture can hold.",
            f"Give at most {LONGEST_TEXT}: a sentence or two.",
        )
    seen = "".join(" " if c.isspace() else c for c in text if c.isspace() or _can_be_seen(c))
    line = " ".join(seen.split())
    if not any(unicodedata.category(c) != "Cf" for c in line):
        raise BadInput("There is no text yet.", "Type a sentence, then press Enter.")
    return line


def _can_be_seen(character: str) -> bool:
    """Tell whether a character is more than a command, a half of a surrogate pair, or a turn of direction.

    Marks that join (also Cf) stay: emoji and Persian are written with them.
    """
    return unicodedata.category(character) not in ("Cc", "Cs") and character not in _TURNS


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
