"""Write what a benchmark found: JSON for programs, a page of Markdown for people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tawasul_nlp.evaluation.output import write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RESULTS = Path(__file__).parent / "results"


def publish_page(result: dict[str, Any], page: str, prefix: Path, figure: Figure | None = None) -> None:
    """Print a page of Markdown and write it as ``prefix.md``, the result as ``prefix.json``, a figure as ``.png``."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    write_json(result, Path(f"{prefix}.json"))
    Path(f"{prefix}.md").write_text(page, encoding="utf-8")
    if figure is not None:
        figure.savefig(f"{prefix}.png", dpi=110)
    print(page)
