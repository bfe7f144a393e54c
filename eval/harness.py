"""Write what a benchmark found: JSON for programs, a page of Markdown for people."""

from __future__ import annotations

import datetime
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tawasul_nlp._system import machine
from tawasul_nlp.evaluation.metrics import Estimate
from tawasul_nlp.evaluation.output import write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RESULTS = Path(__file__).parent / "results"


def provenance(command: str, *arguments: str) -> dict[str, str]:
    """Return when, where and by which command a result was found.

    Examples
    --------
    >>> provenance("python -m eval.scale.report", "--sizes", "1000")["command"]
    'python -m eval.scale.report --sizes 1000'
    """
    return {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "command": f"{command} {shlex.join(arguments)}".rstrip(),
    }


def estimate_cell(estimate: Estimate) -> str:
    """Return a figure with its interval, as a cell of a table.

    Examples
    --------
    >>> estimate_cell(Estimate(0.75, 0.5, 0.9))
    '0.750 (0.500-0.900)'
    """
    value, low, high = estimate
    return f"{value:.3f} ({low:.3f}-{high:.3f})"


def publish_page(result: dict[str, Any], page: str, prefix: Path, figure: Figure | None = None) -> None:
    """Print a page of Markdown and write it as ``prefix.md``, the result as ``prefix.json``, a figure as ``.png``."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    write_json(result, Path(f"{prefix}.json"))
    Path(f"{prefix}.md").write_text(page, encoding="utf-8")
    if figure is not None:
        figure.savefig(f"{prefix}.png", dpi=110)
    print(page)
