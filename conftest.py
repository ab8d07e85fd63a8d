"""How notebooks are tested: `pytest notebooks --nbval-lax` executes all, compares cells that ask.

A cell asks by its tag ``nbval-check-output``.
"""

from __future__ import annotations

import pytest

# The value behind a rounded fact differs in its last digits between machines; the rounded line is compared.
NOT_COMPARED = ("application/vnd.carryover.fact+json", "image/png", "image/svg+xml", "text/html")

# The Chinese edition has the English code and outputs, which tests/notebooks/test_chinese.py compares.
collect_ignore_glob = ["notebooks/zh/*"]


def _edition(recorded: str | None) -> str:
    from course_lib.runner.plan import edition_like

    return edition_like(recorded)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Keep nbval from measuring coverage inside the kernels: it slows the frameworks several times."""
    session.config.option.cov_source = None


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Tell nbval which kinds of output repeat only on one machine."""
    if type(collector).__name__ == "IPyNbFile":
        collector.skip_compare = (*collector.skip_compare, *NOT_COMPARED)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Execute without comparing where a notebook's outputs were recorded on the other edition's data."""
    if type(item).__name__ != "IPyNbCell":
        return
    recorded = item.parent.nb.metadata.get("carryover", {}).get("edition")
    if recorded not in (None, _edition(recorded)):
        item.options["check"] = False
