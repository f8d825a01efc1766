"""The page as one file: template, styles, scripts and data put together, so that nothing is fetched when it is opened."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nasbench_evs.analysis.explorer.data import find_tables, table_data
from nasbench_evs.analysis.explorer.leaderboard import leaderboard
from nasbench_evs.errors import InvalidQuery
from nasbench_evs.files import check_target, write_text
from nasbench_evs.version import __version__

MOST_BYTES = 5_000_000
_ASSETS = Path(__file__).parent / "assets"
_VENDORED = ("d3.min.js", "plot.umd.min.js")  # in the order in which they need each other
_MAIN = "main"


def write_page(
    names: Sequence[str],
    results: Path | None,
    out: Path,
    *,
    force: bool = False,
    progress: Callable[..., None] = lambda done, total, detail="": None,
) -> list[str]:
    """Write the page about these tables (names or paths; none: all that ship) and an experiment's results to `out`.

    Returns what was left out to keep it below MOST_BYTES, a sentence each. InvalidQuery if that does not suffice.
    """
    found = find_tables(names)
    steps = len(found) + (results is not None)
    check_target(out, force=force)
    tables = []
    for i, (name, path) in enumerate(found.items()):
        progress(i, steps, name)
        tables.append(table_data(name, path))
    if results is not None:
        progress(len(found), steps, str(results))
    board = None if results is None else leaderboard(results)
    text, left_out = fitted(tables, board)
    write_text(out, text, force=force)
    progress(steps, steps)
    return left_out


def fitted(
    tables: Sequence[dict[str, Any]], board: dict[str, Any] | None, most: int = MOST_BYTES
) -> tuple[str, list[str]]:
    """The page within `most` bytes, and what was left out for that: figures of cards first, then learning curves."""
    left_out: list[str] = []
    for cut, said in (
        (None, ""),
        (_without_figures, "The figures of the cards are left out to keep this page small."),
        (_without_curves, "The learning curves are left out to keep this page small."),
    ):
        if cut is not None:
            tables = [cut(each) for each in tables]
            left_out.append(f"{said} Name fewer benchmarks to see them.")
        text = page(tables, board, left_out)
        if (size := len(text.encode())) < most:
            return text, left_out
    raise InvalidQuery(
        f"the page would have {size:,} bytes with {len(tables)} tables, expected less than {most:,}: name fewer benchmarks"
    )


def _without_figures(table: dict[str, Any]) -> dict[str, Any]:
    return {**table, "cards": {**table["cards"], "figures": {}}}


def _without_curves(table: dict[str, Any]) -> dict[str, Any]:
    return {**table, "records": {**table["records"], "curve": []}}


def page(tables: Sequence[Mapping[str, Any]], board: Mapping[str, Any] | None, left_out: Sequence[str]) -> str:
    """The whole page as HTML."""
    modules = {path.stem: path.read_text(encoding="utf-8") for path in sorted((_ASSETS / "js").glob("*.js"))}
    urls = {f"explorer/{name}": _data_url(text) for name, text in modules.items()}
    scripts = [(_ASSETS / "vendor" / name).read_text(encoding="utf-8") for name in _VENDORED]
    imports = json.dumps({"imports": urls})
    start = f'import "explorer/{_MAIN}";'
    overview = {
        "version": __version__,
        "tables": [{"name": each["name"]} for each in tables],
        "leaderboard": board,
        "left_out": list(left_out),
    }
    data = [_json("overview", overview), *(_json(f"table-{i}", each) for i, each in enumerate(tables))]
    parts = {
        "policy": html.escape(_policy([*scripts, imports, start])),
        "style": (_ASSETS / "page.css").read_text(encoding="utf-8"),
        "vendored": "\n".join(f"<script>{text}</script>" for text in scripts),
        "licences": html.escape((_ASSETS / "vendor" / "LICENSES.txt").read_text(encoding="utf-8")),
        "data": "\n".join(data),
        "modules": f'<script type="importmap">{imports}</script>\n<script type="module">{start}</script>',
    }
    template = (_ASSETS / "page.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)  # in one pass: data may hold braces


def _json(name: str, value: Any) -> str:
    """A block of data that cannot end early, whatever text is in it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>'


def _data_url(script: str) -> str:
    return f"data:text/javascript;base64,{base64.b64encode(script.encode()).decode()}"


def _policy(scripts: Sequence[str]) -> str:
    """What a browser may do: nothing over the network, and of inline scripts only these, so that no text can become one."""
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts]
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src data: {' '.join(hashes)}; "
        "base-uri 'none'; form-action 'none'"
    )
