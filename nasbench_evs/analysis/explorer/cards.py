"""The cards of a dataset and of a table as HTML, with their figures, for the page."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from nasbench_evs import locations

_HEADINGS_BELOW = 2  # the page's own
_SCROLLED = '<div class="scroll" tabindex="0" role="region" aria-label="Table of the card">'


def cards(path: Path) -> dict[str, Any]:
    """`dataset` and `table`: the cards beside a table as HTML, None where there is none; `figures`: theirs, as data URLs.

    The dataset's is that of a shipped one: what lies beside another table is nobody's business.
    """
    dataset = path.with_name("README.md") if path in locations.shipped_tables().values() else None
    found: dict[str, Any] = {"figures": {}}
    for name, card in (("dataset", dataset), ("table", path.with_suffix(".md"))):
        found[name] = None
        if card is not None and card.is_file():
            found[name], figures = html(card.read_text(encoding="utf-8", errors="replace"), card.parent)
            found["figures"] |= figures
    return found


def html(text: str, folder: Path) -> tuple[str, dict[str, str]]:
    """Markdown as HTML that holds no HTML of its own, and the figures in `folder` that it shows, by name.

    Figures are `<img data-figure=NAME>` until the page gives them their source; links that lead to other files are text.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.add_render_rule("table_open", lambda *_: f"{_SCROLLED}<table>")
    parser.add_render_rule("table_close", lambda *_: "</table></div>")
    figures: dict[str, str] = {}
    tokens = parser.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + _HEADINGS_BELOW)}"
        if token.children:
            token.children = _inline(token.children, folder, figures)
    return parser.renderer.render(tokens, parser.options, {}), figures


def _inline(tokens: list[Token], folder: Path, figures: dict[str, str]) -> list[Token]:
    kept, dropped = [], []
    for token in tokens:
        if token.type == "link_open":
            dropped.append(not str(token.attrGet("href")).startswith(("https://", "http://")))
        if token.type in ("link_open", "link_close") and (dropped[-1] if token.type == "link_open" else dropped.pop()):
            continue
        if token.type == "image":
            name = str(token.attrs.pop("src", ""))
            if not _read_figure(folder, name, figures):
                continue
            token.attrSet("data-figure", name)
        kept.append(token)
    return kept


def _read_figure(folder: Path, name: str, figures: dict[str, str]) -> bool:
    """Add a PNG of that folder to the figures; False for anything else."""
    path = folder / name
    if Path(name).name != name or path.suffix != ".png" or not path.is_file():
        return False
    figures[name] = f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
    return True
