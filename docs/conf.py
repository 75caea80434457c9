"""The configuration of the documentation site: ``make site``.

Does not depend on: the network. Links to other projects stay plain text where their inventories cannot
be downloaded.
"""

import logging
import os
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
project = "Colonnade"
author = "The Colonnade developers"
project_copyright = author
version = release = re.search(r'__version__ = "(.*)"', (ROOT / "src/colonnade/__init__.py").read_text()).group(1)

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build", "_templates", "model/*.pml"]
templates_path = ["_templates"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}

# Markdown
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# What is copied can be pasted: lines with a prompt lose it, and what they print is left out.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# API pages, from the docstrings
autosummary_generate = True
autodoc_typehints = "none"  # the NumPy docstrings have them
autodoc_member_order = "groupwise"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
add_module_names = False
default_role = "code"

# Links to other projects; the inventories are downloaded when that is possible.
intersphinx_mapping = {
    "python": ("https://docs.python.org/3", None),
    "numpy": ("https://numpy.org/doc/stable", None),
    "pandas": ("https://pandas.pydata.org/docs", None),
    "pyarrow": ("https://arrow.apache.org/docs", None),
}
if os.environ.get("COLONNADE_DOCS_OFFLINE"):
    intersphinx_mapping = {}
intersphinx_timeout = 5


class _InventoriesAreOptional(logging.Filter):
    """Let a build without network pass, though warnings are errors: a missing inventory is not a mistake in a page."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "failed to reach any of the inventories" not in str(record.msg)


logging.getLogger("sphinx.sphinx.ext.intersphinx").addFilter(_InventoriesAreOptional())

# Look
html_theme = "pydata_sphinx_theme"
html_title = "Colonnade"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_favicon = "_static/favicon.svg"
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "Colonnade", "image_light": "_static/favicon.svg", "image_dark": "_static/favicon.svg"},
    "github_url": "https://github.com/colonnade/colonnade",
    "navbar_align": "left",
    "header_links_before_dropdown": 5,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
}
html_context = {"default_mode": "auto"}
# Pages without pages below them need no navigation on the left.
html_sidebars = {
    page: [] for page in ("index", "start", "sharing", "deploying", "comparison", "faq", "errors", "changelog")
}
