"""Write results: as JSON, as a page, and their figures as text."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tawasul_nlp._system import atomic_write
from tawasul_nlp.evaluation.metrics import Estimate
from tawasul_nlp.extras import require

if TYPE_CHECKING:
    from rich.table import Table


class JsonResult:
    """A dataclass that turns into what JSON holds."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the result as what JSON holds: dictionaries, lists, strings, numbers and None."""
        return to_plain(self)

    def to_json(self, path: str | Path) -> None:
        """Write the result as JSON; :func:`~tawasul_nlp.evaluation.compare` reads that of an evaluation."""
        write_text(json.dumps(self.to_dict(), indent=1, ensure_ascii=False) + "\n", path)


def to_plain(result: Any) -> dict[str, Any]:
    """Return a dataclass as dictionaries and lists, without what is None at the top."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(result)))
    return {name: value for name, value in plain.items() if value is not None}


def write_text(text: str | bytes, path: str | Path) -> None:
    """Write a file whole or not at all; its folder is made if it is not there."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as unfinished:
        unfinished.write_bytes(text.encode() if isinstance(text, str) else text)


def append_to_card(card: Path, title: str, section: str) -> None:
    """Write a section at the end of a model's card, in place of an earlier one that begins with the same title."""
    before = card.read_text(encoding="utf-8").rstrip("\n").split(f"\n\n{title}")[0]
    write_text(f"{before}\n\n{section}\n", card)


def rendered(template: Path, filters: Mapping[str, Callable[..., str]] = MappingProxyType({}), **values: Any) -> str:
    """Return a template with its values, which are escaped in HTML."""
    require("stats", "a page", "jinja2")
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    pages = Environment(
        loader=FileSystemLoader(template.parent),
        autoescape=template.suffix == ".html",
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    pages.filters.update(filters)
    return pages.get_template(template.name).render(values)


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table of which the first column names what the others count; ``rich.print`` draws it."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""

    def __rich__(self) -> Table:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=Text(self.title) or None, title_justify="left")
        for number, name in enumerate(self.header):
            table.add_column(Text(name), justify="right" if number else "left")
        for row in self.rows:
            table.add_row(*map(Text, row))
        return table

    def markdown(self) -> str:
        """Return the table in Markdown; a cell of several lines becomes one.

        >>> print(TextTable(["label", "texts"], [["a|b", "3"]]).markdown())
        | label | texts |
        | --- | --- |
        | a\\|b | 3 |
        """
        lines = [self.header, ["---"] * len(self.header), *self.rows]
        escaped = ([" ".join(cell.split()).replace("|", "\\|") for cell in line] for line in lines)
        return "\n".join(f"| {' | '.join(line)} |" for line in escaped)


def per_cent(values: Estimate | Sequence[float] | float | None) -> str:
    """Write a share, or a share with its interval, in per cent.

    >>> per_cent(Estimate(0.811, 0.788, 0.831)), per_cent(0.5), per_cent(None)
    ('81.1 [78.8, 83.1]', '50.0', '-')
    """
    if values is None:
        return "-"
    if isinstance(values, float | int):
        return f"{100 * values:.1f}"
    return f"{100 * values[0]:.1f} [{100 * values[1]:.1f}, {100 * values[2]:.1f}]"


def signed(points: Estimate | Sequence[float]) -> str:
    """Write a difference in points with its interval.

    >>> signed(Estimate(1.84, 0.6, 3.02))
    '+1.8 [+0.6, +3.0]'
    """
    return "{:+.1f} [{:+.1f}, {:+.1f}]".format(*points)


def p_text(p_value: float) -> str:
    """Write a p-value.

    >>> p_text(0.0321), p_text(3e-9)
    ('p = 0.032', 'p < 0.001')
    """
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
