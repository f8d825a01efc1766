"""The documentation site: sphinx-build -W docs build/docs"""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from nasbench_evs.version import __version__

project = "nasbench-evs"
author = "nasbench-evs contributors"
project_copyright = author
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
html_theme = "furo"
html_title = f"nasbench-evs {__version__}"
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
# Links to files of the repository are for readers of the repository.
suppress_warnings = ["myst.xref_missing"]
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_mock_imports = ["syne_tune", "optunahub"]
add_module_names = False
exclude_patterns = ["build"]


def _readable(_app, _what, _name, _object, _options, lines):
    """Our docstrings are plain text: what is aligned or indented is shown as it is, `names` as code."""
    text, shown = re.sub(r"(?<!`)`([^`\n]+)`(?!`)", r"``\1``", "\n".join(lines)), []
    for paragraph in text.split("\n\n"):
        rows = paragraph.split("\n")
        doctest = rows[0].lstrip().startswith(">>>")
        aligned = any(re.search(r"\S {2,}\S", row) for row in rows) or any(row.startswith(" ") for row in rows)
        if aligned and not doctest:
            shown += ["::", "", *(f"    {row.replace('``', '`')}" for row in rows), ""]
        else:
            shown += [*(row.replace("*", r"\*").replace("|", r"\|") if not doctest else row for row in rows), ""]
    lines[:] = shown


def setup(app):
    app.connect("autodoc-process-docstring", _readable)
