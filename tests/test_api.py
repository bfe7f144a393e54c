"""The pages list what the packages export, the release and the formats, and a typed program can use all of the API."""

import inspect
import pkgutil
import re
import subprocess
import sys
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path

import pytest

import tawasul_nlp
from tawasul_nlp import ComplaintClassifier, Normalizer, mask_personal_data
from tawasul_nlp.duplicates import pair_scorer
from tawasul_nlp.duplicates.index import database
from tawasul_nlp.model import folder
from tawasul_nlp.tables.run import parts

ROOT = Path(__file__).parent.parent
HOLD_TEXT = {"text", "texts", "original", "record", "raw"}
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## `(tawasul_nlp[\w.]*)`\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))


def listed(section):
    also = " ".join(re.findall(r"^Also here: (.*)$", section, re.M))
    return {*re.findall(r"^\| `(\w+)` \|", section, re.M), *re.findall(r"\w+", also)}


@pytest.mark.parametrize("package", SECTIONS)
def test_the_page_lists_what_a_package_exports(package):
    assert listed(SECTIONS[package]) == set(import_module(package).__all__)


def test_every_package_that_exports_names_is_on_the_page():
    exporting = {
        ".".join(path.relative_to(ROOT).parts[:-1])
        for path in (ROOT / "tawasul_nlp").rglob("__init__.py")
        if "__all__" in path.read_text("utf-8")
    }
    assert exporting - {"tawasul_nlp.cli"} | {"tawasul_nlp.tables.ray"} == set(SECTIONS)


def returned(value):
    """Yield the annotations of what a function, or each method of a class, returns."""
    methods = [value]
    if inspect.isclass(value):
        methods = [getattr(each, "__func__", each) for name, each in vars(value).items() if not name.startswith("_")]
    yield from (inspect.signature(each).return_annotation for each in methods if inspect.isfunction(each))


def test_what_public_calls_return_is_public():
    names = {name for section in SECTIONS for name in import_module(section).__all__}
    assert len(names) < 75
    values = {name: getattr(import_module(section), name) for section in SECTIONS for name in listed(SECTIONS[section])}
    words = {
        word for value in values.values() for each in returned(value) for word in re.findall(r"[A-Z]\w+", str(each))
    }
    sources = [path.read_text("utf-8") for path in (ROOT / "tawasul_nlp").rglob("*.py")]
    defined = {word for word in words if any(f"\nclass {word}" in source for source in sources)}
    # Steps between the package's own modules, and pairs of numbers.
    assert defined - names == {"CaseFeatures", "File", "Span"}


@pytest.mark.slow
def test_a_strictly_typed_program_uses_the_api():
    client = ROOT / "tests" / "typed_client.py"
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--follow-imports=silent", str(client)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_page_and_the_changelog_name_the_release_and_the_formats_that_the_code_writes():
    page = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
    releases = re.findall(r"^## \[(\d.*?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert releases[0] == tawasul_nlp.__version__ and f"| {releases[0]} reads |" in page
    rows = page[page.index("| what | format |") :].split("\n\n")[0].splitlines()[2:]
    written = [int(re.findall(r"\d+", row.strip("|").split("|")[1])[-1]) for row in rows]
    assert written == [folder.FORMAT_VERSION, pair_scorer.FORMAT_VERSION, database.FORMAT_VERSION, parts.FORMAT]


def test_no_field_that_holds_a_text_is_in_the_repr_of_its_value():
    shown, hidden = [], set()
    names = (each.name for each in pkgutil.walk_packages(tawasul_nlp.__path__, "tawasul_nlp."))
    for module in map(import_module, (name for name in names if not name.endswith("__main__"))):
        for name, value in vars(module).items():
            if not (inspect.isclass(value) and value.__module__ == module.__name__ and is_dataclass(value)):
                continue
            texts = [each for each in fields(value) if each.name in HOLD_TEXT and "tuple" not in str(each.type)]
            if value.__dataclass_params__.repr:
                shown += [f"{name}.{each.name}" for each in texts if each.repr]
                hidden |= {name for each in texts if not each.repr}
    assert not shown and {"Case", "ClassifiedCase", "LabelledRow", "LargeGroup", "Match", "Reject"} <= hidden


def test_no_value_shows_what_a_citizen_wrote_where_a_log_prints_it():
    text = "سلك مكشوف عند باب المدرسة في مدينة حمد، هاتفي 39001234"
    classifier = ComplaintClassifier.from_pretrained()
    prediction = classifier.predict(text)
    values = [
        prediction,
        prediction.urgency,
        prediction.issues,
        tawasul_nlp.explain(text),
        Normalizer("default").normalize_with_offsets(text),
        mask_personal_data(text),
        tawasul_nlp.Case(text, place=text),
        prediction.places,
    ]
    shown = " ".join(map(repr, values))
    assert not [words for words in ("عند باب", "هاتفي", "39001234") if words in shown]
