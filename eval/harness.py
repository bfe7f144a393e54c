"""What measurements share: options of a script, where its result comes from, and pages in JSON and Markdown."""

from __future__ import annotations

import argparse
import datetime
import inspect
import json
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

from tawasul_nlp._system import machine
from tawasul_nlp.evaluation.metrics import Estimate
from tawasul_nlp.evaluation.output import write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RESULTS = Path(__file__).parent / "results"


def run_script(main: Callable[..., int | None], arguments: Sequence[str] | None = None) -> int:
    """Run a script's ``main`` with the options of the command line, which are its parameters; return its exit status.

    ``Annotated[int, "cases to review"]`` is an option with its help; a ``Literal`` has choices, a sequence takes
    several values, and a bool is a switch. The module's docstring describes the script.
    """
    description = sys.modules[main.__module__].__doc__
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    hints = get_type_hints(main, include_extras=True)
    for name, parameter in inspect.signature(main).parameters.items():
        parser.add_argument(f"--{name.replace('_', '-')}", **_option(hints[name], parameter.default))
    return main(**vars(parser.parse_args(arguments))) or 0


def _option(kind: Any, default: Any) -> dict[str, Any]:
    """Return how argparse reads an option of such an annotation."""
    words = ""
    if get_origin(kind) is Annotated:
        kind, words = get_args(kind)
    if kind is bool:
        return {"action": "store_true", "help": words}
    required = default is inspect.Parameter.empty
    shown = "" if required or default is None else f"[default: {default}]"
    settings = {"required": required, "default": None if required else default, "help": f"{words} {shown}".strip()}
    if type(None) in get_args(kind):
        kind = get_args(kind)[0]
    if get_origin(kind) is Literal:
        return {**settings, "choices": get_args(kind)}
    if isinstance(get_origin(kind), type) and issubclass(get_origin(kind), Sequence):
        return {**settings, "type": get_args(kind)[0], "nargs": "+"}
    return {**settings, "type": kind}


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
    write_text(_json(result), Path(f"{prefix}.json"))
    Path(f"{prefix}.md").write_text(page, encoding="utf-8")
    if figure is not None:
        figure.savefig(f"{prefix}.png", dpi=110)
    print(page)


def _json(result: dict[str, Any]) -> str:
    """Return a result as JSON; of what it holds of each row ("rows" by name), every list on one line."""
    rows = result.get("rows")
    head = {name: value for name, value in result.items() if not (name == "rows" and isinstance(value, dict))}
    text = json.dumps(head, indent=1, ensure_ascii=False)
    if isinstance(rows, dict):
        lines = ",\n".join(f'  "{name}": {json.dumps(value, ensure_ascii=False)}' for name, value in rows.items())
        text = text[:-2] + f',\n "rows": {{\n{lines}\n }}\n}}'
    return text + "\n"
