"""The package names no country outside its packs.

Searched are the strings of the code, without docstrings and comments, and the other files that ship with it: for the
countries by name, and for what the packs of two countries call their regions, areas, money, phones and billers.
"""

import ast
import re
from pathlib import Path

import pytest

from tawasul_nlp.domain import Domain
from tawasul_nlp.domain.words import fold_phrase
from tests.packs import KUWAIT

PACKAGE = Path(__file__).parents[2] / "tawasul_nlp"
COUNTRY = re.compile(r"bahr[ae]in|kuwait|ب?حرين|كويت|muharraq|المحرق|\b973\b|\b965\b|\bBHD?\b|\bKWD?\b", re.IGNORECASE)
SHORTEST_NAME = 5  # shorter names of areas are words too: saar, jaw
ALLOWED = {
    "_packs.py": "which pack is the default",
    "cli/app.py": "the command says of which country it is by default",
    "cli/options.py": "an option says what its default is",
    "cli/train.py": "an option says what its default is",
    "domain/pack.py": "an error shows a line as it should be",
    "report/script/map.js": "how regions lie on the map",
    "text/arabizi.py": "units of counts, which belong to the model's own normalisation",
    "text/steps.py": "the ends of addresses of many countries",
    "text/personal/patterns.py": "how many digits follow the codes of all neighbours",
    "text/personal/patterns.txt": "the nationalities of plates, and the ends of addresses of many countries",
    "text/personal/words.yaml": "the lengths of IBANs, and by what nationality persons describe themselves",
}


def names_in(domain):
    """Return the names that only a country has, folded, as tuples of words."""
    gazetteer, personal = domain.gazetteer, domain.personal
    areas = [place for place in gazetteer.places.values() if place.is_area]
    named = [name for place in (*gazetteer.governorates.values(), *areas) for name in (place.name_ar, place.name_en)]
    numbers = [*personal.currency_codes, *personal.billers, personal.phones.country_code]
    phrases = map(fold_phrase, [*(name for name in named if len(name) >= SHORTEST_NAME), *numbers])
    return {phrase for phrase in phrases if phrase and " ".join(phrase) not in gazetteer.homographs}


@pytest.fixture(scope="module")
def names():
    by_first = {}
    for phrase in names_in(Domain.bundled()) | names_in(Domain.load(KUWAIT)):
        by_first.setdefault(phrase[0], set()).add(phrase)
    return by_first


def names_a_country(text, names):
    words = fold_phrase(text)
    by_name = (words[at : at + len(name)] == name for at, word in enumerate(words) for name in names.get(word, ()))
    return COUNTRY.search(text) is not None or any(by_name)


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


def searched():
    """Return the texts of the package outside packs and models, with their file and line."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in constants(ast.parse(path.read_text("utf-8"))):
            yield path, node.lineno, node.value
    others = ("domain/*.yaml", "text/personal/*.yaml", "text/personal/*.txt", "report/script/*.js", "report/*.json")
    for path in (path for pattern in others for path in PACKAGE.glob(pattern)):
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            yield path, number, line


def naming_a_country(names):
    for path, number, text in searched():
        if names_a_country(text, names):
            yield path.relative_to(PACKAGE).as_posix(), number


@pytest.mark.slow
def test_only_data_names_a_country_and_every_exception_is_still_one(names):
    naming = dict(naming_a_country(names))
    assert set(naming) == set(ALLOWED), naming


def test_names_of_a_country_would_be_found_and_ordinary_words_are_none(names):
    for text in ("ewa", "count in BD", "حفرة في الرميثية", "الرفاع الشرقي", "Hamad Town", "+973"):
        assert names_a_country(text, names)
    for text in ("sewage", "منطقة", "municipality", "الشارع العام", "block"):
        assert not names_a_country(text, names)
