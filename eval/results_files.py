"""Write what an evaluation found: JSON for programs, a page for people."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import RenderableType


RESULTS = Path(__file__).parent / "results"


def write_json(result: dict[str, Any], path: Path) -> None:
    """Write a result; of what it tells of each case ("rows" by name), every long list on one line."""
    rows = result.get("rows")
    head = {name: value for name, value in result.items() if not (name == "rows" and isinstance(value, dict))}
    text = json.dumps(head, indent=1, ensure_ascii=False)
    if isinstance(rows, dict):
        lines = ",\n".join(f'  "{name}": {json.dumps(value, ensure_ascii=False)}' for name, value in rows.items())
        text = text[:-2] + f',\n "rows": {{\n{lines}\n }}\n}}'
    path.write_text(text + "\n", encoding="utf-8")


def publish_page(result: dict[str, Any], page: str, prefix: Path, figure: Figure | None = None) -> None:
    """Print a page of Markdown and write it as ``prefix.md``, the result as ``prefix.json``, a figure as ``.png``."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    write_json(result, Path(f"{prefix}.json"))
    Path(f"{prefix}.md").write_text(page, encoding="utf-8")
    if figure is not None:
        figure.savefig(f"{prefix}.png", dpi=110)
    print(page)


def publish(
    result: dict[str, Any],
    terminal: Callable[[dict[str, Any]], RenderableType],
    html: Callable[[dict[str, Any]], str],
    prefix: Path | None,
) -> None:
    """Print a result and, with a ``prefix``, write it as ``prefix.json`` and ``prefix.html``."""
    from rich.console import Console

    Console().print(terminal(result))
    if prefix is None:
        return
    prefix.parent.mkdir(parents=True, exist_ok=True)
    write_json(result, Path(f"{prefix}.json"))
    Path(f"{prefix}.html").write_text(html(result), encoding="utf-8")
    print(f"written: {prefix}.json, {prefix}.html")
