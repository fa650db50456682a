"""The documentation as a site (`make book`): pages and notebooks as they are, and an API reference from docstrings.

The repository is the source folder, so that one link works in the book and where the code is hosted.
"""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]

project = "AnySleep Workbook"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "numpydoc",
    "sphinxcontrib.mermaid",
]
root_doc = "README"
include_patterns = ["*.md", "docs/*.md", "docs/book/*.rst", "notebooks/*.ipynb"]
exclude_patterns = [".venv", "outputs", "data"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4  # links to headings, named as forges name them
myst_fence_as_directive = ["mermaid"]
nb_execution_mode = "off"  # as `make demo` left them, or without outputs

default_role = "code"  # docstrings have single backticks
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 100
numpydoc_show_class_members = False

html_theme = "pydata_sphinx_theme"
html_title = project
html_copy_source = False
html_static_path = ["book/static"]
html_css_files = ["book.css"]
html_sidebars = {"docs/book/api": []}  # all on one page
html_theme_options = {"show_prev_next": False, "show_toc_level": 2}

CONTENTS = """
```{toctree}
:hidden:
docs/book/guides
docs/book/notebooks
docs/book/reference
docs/book/api
```
"""


def read_page(app, docname, source):
    """README with contents, notebooks executed where they were; links to folders, which are no pages, are mended."""
    if docname == root_doc:
        source[0] += CONTENTS
    executed = ROOT / "outputs/demo" / Path(docname).name / "notebook.ipynb"
    if docname.startswith("notebooks/") and executed.is_file():
        source[0] = executed.read_text(encoding="utf-8")
    source[0] = re.sub(r"\]\((\.\./lib/[\w/]+)\)", r"](\1/__init__.py)", source[0])
    source[0] = re.sub(r"\[([^]]+)\]\(\.\./params/\w+\)", r"\1", source[0])


def show_signature(app, what, name, obj, options, signature, returns):
    """A default that is made for every instance as `...`, not as `<factory>`, which is no Python."""
    return signature and signature.replace("<factory>", "..."), returns


def setup(app):
    """Called by Sphinx."""
    app.connect("source-read", read_page)
    app.connect("autodoc-process-signature", show_signature)
