"""What changed between two periods, which can be read, stored as JSON, printed, and shown as a page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tawasul_nlp.evaluation.drift_findings import DriftFindings
from tawasul_nlp.evaluation.drift_page import drift_page
from tawasul_nlp.evaluation.drift_wording import Wording, unmarked
from tawasul_nlp.evaluation.output import to_plain, write_bytes, write_json
from tawasul_nlp.prediction import without_controls

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, slots=True, repr=False)
class DriftResult(DriftFindings):
    """What :func:`drift` found. ``rich.print`` shows it in sentences.

    Its attributes are those of ``DriftFindings``: the periods, and ``tests``, ``mixes``, ``unknown``, ``words``,
    ``confidence`` and ``embedding``.
    """

    def to_dict(self) -> dict[str, Any]:
        """Return the result as what JSON holds."""
        return to_plain(self)

    def to_json(self, path: str | Path) -> None:
        """Write the result as JSON."""
        write_json(self.to_dict(), path)

    def to_html(self, path: str | Path) -> None:
        """Write one self-contained page in Arabic and English, which needs no network and no script."""
        write_bytes(drift_page(self), path)

    def __rich__(self) -> RenderableType:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        def plain(text: str) -> Text:
            return Text(without_controls(unmarked(text)))

        wording = Wording("en", self)
        periods, sentences = Table.grid(padding=(0, 2)), Table.grid(padding=(0, 2))
        for name, facts in (("before", self.reference), ("now", self.new)):
            periods.add_row(wording.word(name), plain(wording.period(facts)))
        for said in wording.sentences():
            style = "bold red" if said.outcome == "changed" else ""
            sentences.add_row(Text(wording.word(said.outcome), style), plain(said.text))
        return Group(periods, "", plain(wording.verdict()), sentences)

    def __repr__(self) -> str:
        changed = ", ".join(self.changed) or "nothing"
        return f"DriftResult({self.new.table} since {self.reference.table}: {changed} changed beyond chance)"
