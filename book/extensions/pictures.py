"""Descriptions of pictures: MyST-NB drops those that a notebook's outputs carry."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)


def _read(app: Sphinx) -> None:
    text = (Path(app.srcdir) / "descriptions.json").read_text(encoding="utf-8")
    app.config["picture_descriptions"] = json.loads(text)


def _describe(app: Sphinx, document: nodes.document) -> None:
    known = app.config["picture_descriptions"]
    for image in document.findall(nodes.image):
        name = PurePosixPath(image["uri"]).stem
        image["alt"] = known.get(name) or image.get("alt", "")
        if not image["alt"]:
            logger.warning("a picture without a description: %s", image["uri"], location=image)


def setup(app: Sphinx) -> dict[str, Any]:
    """Give every picture its description."""
    app.add_config_value("picture_descriptions", {}, "", dict)
    app.connect("builder-inited", _read)
    app.connect("doctree-read", _describe)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
