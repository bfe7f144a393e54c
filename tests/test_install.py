"""The package alone does all that it promises; what needs more says which extra."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import openpyxl
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tawasul_nlp import ComplaintClassifier, DuplicateGrouper
from tawasul_nlp.cli import main
from tawasul_nlp.errors import MissingExtraError
from tests.model.tiny_model import write_tiny_model

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# Top-level module -> the distributions that it may come from.
HOMES = {
    module: {canonicalize_name(name) for name in names}
    for module, names in packages_distributions().items()
    if module != "tawasul_nlp"
}


def declared(requirements):
    """Return the distributions that requirements name; our own extras are followed."""
    names = set()
    for requirement in map(Requirement, requirements):
        if requirement.name == "tawasul-nlp":
            names |= {name for extra in requirement.extras for name in of_extra(extra)}
        else:
            names.add(canonicalize_name(requirement.name))
    return names


def of_extra(extra):
    return declared(PROJECT["optional-dependencies"][extra])


def test_the_constraints_pin_every_requirement_within_its_bounds():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()[1:]
    pins = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}
    groups = [
        PROJECT["dependencies"],
        *(of for extra, of in PROJECT["optional-dependencies"].items() if extra != "fuzz"),
    ]
    asked = [one for group in groups for one in map(Requirement, group) if one.name != "tawasul-nlp"]
    assert [str(one) for one in asked if not one.specifier.contains(pins[canonicalize_name(one.name)])] == []


def test_the_floors_are_the_lower_bounds_of_what_a_deployment_installs():
    lines = (ROOT / "constraints-floors.txt").read_text(encoding="utf-8").splitlines()[1:]
    floors = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}
    extras = ("hub", "excel", "pandas", "ray", "service", "torch")
    groups = [PROJECT["dependencies"], *(PROJECT["optional-dependencies"][extra] for extra in extras)]
    asked = [one for group in groups for one in map(Requirement, group)]
    train = map(Requirement, PROJECT["optional-dependencies"]["stats"])
    asked += [one for one in train if one.name in ("scikit-learn", "scipy")]  # what evaluating computes with
    assert {canonicalize_name(one.name): str(one.specifier) for one in asked} == {
        name: f">={version}" for name, version in floors.items()
    }


def demanded(tree):
    """Return the arguments of each call of ``require``: the extra, and the modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "require":
            extra, _, *modules = (argument.value for argument in node.args)
            yield extra, modules


def imported(tree):
    """Return the top-level modules of other projects that a file imports when it runs."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []  # the tree is shared, and nothing here asks what is imported for types
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module]
        else:
            continue
        yield from {name.partition(".")[0] for name in names} & set(HOMES)


SOURCES = [path for folder in ("tawasul_nlp", "training", "eval", "examples") for path in (ROOT / folder).rglob("*.py")]


@cache
def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def undeclared(path):
    """Return what a file imports that neither the package nor an extra brings that it, or a package above it, asks for."""
    doors = [path, *(door for folder in path.parents if ROOT in folder.parents for door in folder.glob("__init__.py"))]
    allowed = declared(PROJECT["dependencies"])
    for door in doors:
        allowed |= {name for extra, _ in demanded(parsed(door)) for name in of_extra(extra)}
    return [module for module in imported(parsed(path)) if not HOMES[module] & allowed]


def test_what_is_imported_is_declared_and_an_extra_is_asked_for_before():
    assert {path.relative_to(ROOT).as_posix(): names for path in SOURCES if (names := undeclared(path))} == {}


def test_every_extra_that_is_asked_for_brings_the_modules():
    calls = [call for path in SOURCES for call in demanded(parsed(path))]
    assert {extra for extra, _ in calls} == set(PROJECT["optional-dependencies"]) - {"notebooks", "all", "fuzz"}
    for extra, modules in calls:
        assert [module for module in modules if not HOMES[module] & of_extra(extra)] == []


@pytest.fixture
def without(monkeypatch):
    """Make modules as if they were not installed."""

    def hide(*modules):
        for module in modules:
            monkeypatch.setitem(sys.modules, module, None)

    return hide


def sentence(extra):
    return rf"needs [a-z_, ]+; install (it|them) with: pip install 'tawasul-nlp\[{extra}\]'"


@pytest.mark.parametrize(
    ("module", "extra", "work", "command"),
    [
        ("openpyxl", "excel", "reading Excel workbooks", "classify cases.xlsx -t text -o out.csv"),
        ("defusedxml", "excel", "reading Excel workbooks", "classify cases.xlsx -t text -o out.csv"),
        ("sklearn", "stats", "evaluating a model", "evaluate cases.csv"),
        ("scipy", "stats", "evaluating a model", "drift cases.csv cases.csv"),
    ],
)
def test_a_command_is_refused_without_its_extra_before_anything_is_written(
    tmp_path, capsys, monkeypatch, without, module, extra, work, command
):
    book = openpyxl.Workbook()
    book.active.append(["text"])
    book.save(tmp_path / "cases.xlsx")
    (tmp_path / "cases.csv").write_text("text,kind\nالماي مقطوع,complaint\n", encoding="utf-8")
    for imported in list(sys.modules):  # a package is not imported again for a module that was
        if imported.startswith("tawasul_nlp.evaluation"):
            monkeypatch.delitem(sys.modules, imported)
    monkeypatch.chdir(tmp_path)
    without(module)
    assert main(command.split()) == 1
    assert re.fullmatch(f"tawasul: error: {work} {sentence(extra)}\n", capsys.readouterr().err)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cases.csv", "cases.xlsx"]


def test_ray_datasets_are_refused_without_their_extra(monkeypatch, without):
    monkeypatch.delitem(sys.modules, "tawasul_nlp.tables.ray", raising=False)
    without("ray")
    with pytest.raises(MissingExtraError, match=f"working on a Ray cluster {sentence('ray')}"):
        importlib.import_module("tawasul_nlp.tables.ray")


@pytest.mark.parametrize("module", ["torch", "transformers"])
def test_torch_is_asked_for_when_the_model_is_opened_and_not_with_the_first_text(tmp_path, without, module):
    folder = write_tiny_model(tmp_path / "m", torch_files=True)
    without(module)
    with pytest.raises(MissingExtraError, match=sentence("torch")) as caught:
        ComplaintClassifier.from_pretrained(folder, runtime="torch")
    assert caught.value.extra == "torch" and not isinstance(caught.value, ModuleNotFoundError)


def test_a_model_of_the_hub_and_a_table_of_groups_name_their_extras(without):
    groups = DuplicateGrouper.from_pretrained().group(["حفرة في الشارع", "الماي مقطوع"])
    without("pandas", "huggingface_hub")
    with pytest.raises(MissingExtraError, match=sentence("pandas")):
        groups.to_frame()
    with pytest.raises(MissingExtraError, match=sentence("hub")):
        ComplaintClassifier.from_pretrained("somebody/model")


@pytest.mark.parametrize(
    ("module", "extra", "absent"),
    [
        ("tawasul_nlp.training", "train", "datasets"),
        ("eval.quality.classification", "eval", "semhash"),
        ("tawasul_nlp.service", "service", "fastapi"),
    ],
)
def test_what_is_in_a_clone_names_its_extra(module, extra, absent):
    code = f"import sys; sys.modules[{absent!r}] = None; import {module}"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 1
    last = done.stderr.strip().rpartition("\n")[2]
    assert re.fullmatch(rf"tawasul_nlp\.errors\.MissingExtraError: .* {sentence(extra)}", last)
