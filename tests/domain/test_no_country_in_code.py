"""The package names no country outside its packs: strings of the code, without docstrings and comments, are searched."""

import ast
import re
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "tawasul_nlp"
COUNTRY = re.compile(r"bahr[ae]in|kuwait|ب?حرين|كويت|muharraq|المحرق|\b973\b|\b965\b|\bBHD?\b|\bKWD?\b", re.IGNORECASE)
ALLOWED = {
    "_packs.py": "which pack is the default",
    "cli/app.py": "the command says of which country it is by default",
    "cli/options.py": "an option says what its default is",
    "cli/train.py": "an option says what its default is",
    "text/personal_numbers.py": "how many digits follow the country codes of all neighbours",
    "text/personal_cue_patterns.py": "the nationalities of plates, those of the whole Gulf",
    "text/personal_names.py": "by what nationality persons describe themselves",
    "text/steps.py": "the ends of addresses of many countries",
    "text/personal_patterns.py": "the lengths of IBANs and the ends of addresses of all countries",
}


def constants(tree):
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node


def naming_a_country():
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in constants(ast.parse(path.read_text("utf-8"))):
            if COUNTRY.search(node.value):
                yield path.relative_to(PACKAGE).as_posix(), node.lineno


def test_only_data_names_a_country():
    found = [(name, line) for name, line in naming_a_country() if name not in ALLOWED]
    assert found == []


def test_every_exception_is_still_one():
    assert {name for name, _ in naming_a_country()} == set(ALLOWED)
