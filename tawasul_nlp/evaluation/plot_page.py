"""One self-contained HTML page: everything is escaped, nothing is fetched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from tawasul_nlp.evaluation.plots import svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE = """
body { font: 15px/1.5 system-ui, "Segoe UI", "Noto Sans", "Noto Sans Arabic", sans-serif; color: #1d232b;
       max-width: 1080px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem } h2 { margin-top: 2.2rem; border-bottom: 1px solid #d8dde3 }
.about, .note { color: #56606c; font-size: .9rem }
table { border-collapse: collapse; margin: .8rem 0; font-size: .9rem }
td, th { padding: .25rem .7rem; text-align: start }
th { border-bottom: 2px solid #d8dde3 } td { border-bottom: 1px solid #eceff2 }
.n { text-align: end; white-space: nowrap; font-variant-numeric: tabular-nums }
.plots { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start }
.plots svg { max-width: 100%; height: auto }
.yes { color: #b3342d; font-weight: 600 } .scroll { overflow-x: auto }
"""
# Even if a label smuggled markup past the escaping, the page could not load or run anything.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@dataclass(slots=True)
class Page:
    """A page that grows from top to bottom; every method escapes what it is given."""

    title: str
    about: str
    parts: list[str] = field(default_factory=list)

    def heading(self, text: str) -> None:
        """Begin a section."""
        self.parts.append(f'<h2 dir="auto">{escape(text)}</h2>')

    def note(self, text: str) -> None:
        """Add a line of explanation."""
        self.parts.append(f'<p class="note" dir="auto">{escape(text)}</p>')

    def table(self, header: Sequence[str], rows: Sequence[Sequence[object]], numbers_from: int = 1) -> None:
        """Add a table whose columns from ``numbers_from`` on are numbers."""

        def cells(values: Sequence[object], tag: str) -> str:
            return "".join(
                f'<{tag}{" class=n" if at >= numbers_from else ""} dir="auto">{escape(str(value))}</{tag}>'
                for at, value in enumerate(values)
            )

        body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
        self.parts.append(f'<div class="scroll"><table><tr>{cells(header, "th")}</tr>{body}</table></div>')

    def plots(self, *figures: Figure) -> None:
        """Add figures side by side."""
        self.parts.append(f'<div class="plots">{"".join(svg(each) for each in figures)}</div>')

    def html(self) -> str:
        """Return the whole page."""
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(self.title)}</title><style>{_STYLE}</style></head><body>"
            f'<h1 dir="auto">{escape(self.title)}</h1><p class="about">{escape(self.about)}</p>'
            + "\n".join(self.parts)
            + "</body></html>\n"
        )
