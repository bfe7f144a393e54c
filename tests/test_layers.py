"""Imports run one way: from the command down to the text, and never in a circle."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
# From the lowest up; a module may import those of its own layer and below.
LAYERS = (
    ("errors", "_system", "_yaml", "_packs", "extras"),
    ("text",),
    ("domain",),
    ("model",),
    ("prediction", "answers", "explanation", "classifier"),
    ("duplicates",),
    ("tables.errors", "tables.added_columns"),
    ("tables.io",),
    ("tables.run",),
    ("tables.ray", "tables"),
    ("review",),
    ("report",),
    ("evaluation",),
    ("training",),
    ("service",),
    ("cli",),
    ("__main__",),
)


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted((ROOT / "tawasul_nlp").rglob("*.py"))}


def imported(source, known):
    """Yield the modules that a source imports anywhere in it, in functions and for types too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in known else node.module


def imports_of(module):
    """The package itself is left out: what stands in it is loaded when it is used, so importing it loads no other."""
    found = imported(MODULES[module].read_text(encoding="utf-8"), MODULES)
    return {name for name in found if name not in ("tawasul_nlp", module)}


def layer_of(module):
    name = module.removeprefix("tawasul_nlp.")
    fitting = [
        (len(start), at)
        for at, layer in enumerate(LAYERS)
        for start in layer
        if name == start or name.startswith(f"{start}.")
    ]
    return max(fitting)[1]  # the longest name is the closest


GRAPH = {module: imports_of(module) for module in MODULES if module != "tawasul_nlp"}


def circle_in(graph):
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return None


def test_no_modules_import_each_other_in_a_circle():
    assert circle_in(GRAPH) is None


def test_a_module_imports_only_from_its_layer_and_below():
    upwards = [(module, name) for module in GRAPH for name in GRAPH[module] if layer_of(name) > layer_of(module)]
    assert upwards == []


def test_a_circle_and_an_import_upwards_would_be_found():
    known = {"tawasul_nlp.text", "tawasul_nlp.cli.app"}
    upwards = "def late():\n    from tawasul_nlp.cli import app\n"
    assert list(imported(upwards, known | {"tawasul_nlp.cli"})) == ["tawasul_nlp.cli.app"]
    assert layer_of("tawasul_nlp.cli.app") > layer_of("tawasul_nlp.text")
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": {"a"}}) is not None


def test_two_modules_of_one_name_are_told_apart_by_their_folders():
    """The command's modules have the names of what does their work, and tables have errors of their own."""
    paths = [path for path in MODULES.values() if path.name != "__init__.py" and path.parent.name != "cli"]
    names = [path.name for path in paths]
    twice = {name: {path.parent.name for path in paths if path.name == name} for name in names if names.count(name) > 1}
    assert twice == {"errors.py": {"tawasul_nlp", "tables"}}
