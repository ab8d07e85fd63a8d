"""How a check looks in a notebook: its words as everywhere, and its state in words, sign, colour and edge."""

from __future__ import annotations

from html import escape
from typing import Literal, NamedTuple

Status = Literal["solved", "failing", "waiting"]


class Look(NamedTuple):
    """What tells one state from another, for eyes that see colours and for those that do not."""

    told: str
    colour: str
    edge: str


LOOKS: dict[Status, Look] = {
    "solved": Look("✓ Solved", "#007A4D", "solid"),
    "failing": Look("✗ Not solved yet", "#B84300", "dashed"),
    "waiting": Look("○ Not begun", "#5B5F97", "dotted"),
}
"""White on each colour has a contrast of more than 5. No colour of letters is legible on white and on black,
so the letters stand on it, and look the same in JupyterLab's light and dark themes. Those who do not see red
or green see three colours, too."""


def card(status: Status, words: str) -> str:
    """Return a check as HTML, read out by screen readers when it appears.

    Parameters
    ----------
    status : str
        ``solved``, ``failing`` or ``waiting``.
    words : str
        What is shown where no HTML is; the first line is the summary.

    Examples
    --------
    >>> print(card("solved", "05.2 Heads & trunks: 2 of 2 cases pass."))
    <div class="carryover-check carryover-solved" role="status" style="border-left:6px solid #007A4D;...
    <span style="background-color:#007A4D;color:#FFFFFF;...">✓ Solved</span>
    <b>05.2 Heads &amp; trunks: 2 of 2 cases pass.</b></div>
    """
    look = LOOKS[status]
    head, _, rest = words.partition("\n")
    more = f'\n<div style="white-space:pre-wrap">{escape(rest)}</div>' if rest else ""
    return (
        f'<div class="carryover-check carryover-{status}" role="status" '
        f'style="border-left:6px {look.edge} {look.colour};padding:0.2em 0.8em">\n'
        f'<span style="background-color:{look.colour};color:#FFFFFF;font-weight:bold;padding:0.1em 0.6em">'
        f"{look.told}</span>\n<b>{escape(head)}</b>{more}</div>"
    )
