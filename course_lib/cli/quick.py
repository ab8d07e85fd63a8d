"""A start without what no command needs."""

from __future__ import annotations

import sys


def without_iri_grammars() -> None:
    """Let jsonschema go without its check of internationalised addresses (IRI), for the rest of the process.

    Whoever reads a notebook or starts JupyterLab imports jsonschema. That imports ``rfc3987_syntax``, which
    Jupyter brings along and which builds 39 parsers at once: two seconds of every start, for a format that no
    schema of Jupyter's has. A module that is None cannot be imported; jsonschema then does without.
    """
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
