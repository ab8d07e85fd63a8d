"""How Sphinx builds the book; `book.assemble` lays out what it reads."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import course_lib  # noqa: E402

project = "Carryover"
author = "The authors of Carryover"
copyright = author
release = version = course_lib.__version__
html_title = "Carryover"
language = "en"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "book.extensions.docstrings",
    "book.extensions.formulas",
    "book.extensions.names",
    "book.extensions.pictures",
    "book.extensions.search",
]
exclude_patterns = ["descriptions.json"]
# A docstring's Attributes are links too; several classes have the same, and such a `dim` need lead nowhere.
suppress_warnings = ["ref.python"]

# notebooks: shown as they were executed
nb_execution_mode = "off"
nb_merge_streams = True
nb_render_markdown_format = "myst"
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
myst_dmath_double_inline = True

# reference: numpydoc docstrings
default_role = "py:obj"
autosummary_generate = False
autodoc_preserve_defaults = True
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
python_use_unqualified_type_names = True
toc_object_entries = False
add_module_names = False

# the site: one folder that needs no network
html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["book.css", "hanzi.css"]
html_js_files = ["book.js"]
html_math_renderer = "mathml"
html_search_language = "en-zh"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_show_copyright = False
html_domain_indices = False
html_theme_options = {"sidebar_hide_name": False, "top_of_page_buttons": []}
linkcheck_timeout = 20
pygments_dark_style = "a11y-high-contrast-dark"
