"""Names that docstrings write in short, and pages in Chinese."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment


def _in_the_course(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, shown: nodes.TextElement
) -> nodes.Element | None:
    """Find ``methods.linear_probe`` as ``course_lib.methods.linear_probe``."""
    if node.get("refdomain") != "py" or node["reftarget"].startswith("course_lib."):
        return None
    domain = env.domains.python_domain
    target = f"course_lib.{node['reftarget']}"
    if target not in domain.objects:
        return None
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", target, node, shown)


def _language(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    if page.startswith("notebooks/zh/"):
        context["language"] = "zh-Hans"


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect both."""
    app.connect("missing-reference", _in_the_course)
    app.connect("html-page-context", _language)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
