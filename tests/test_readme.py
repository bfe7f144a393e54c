"""Both READMEs show what really happens: their Python, their commands, and the figures of the results."""

import doctest
import json
import re
from pathlib import Path

import pytest

from tawasul_nlp.cli import main

ROOT = Path(__file__).parent.parent
READMES = ("README.md", "README.ar.md")
WORDS_BEFORE_MORE = 900


def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8")


def result(name):
    return json.loads((ROOT / "eval" / "results" / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", READMES)
def test_the_python_examples_print_what_is_shown(name):
    ran = doctest.testfile(str(ROOT / name), module_relative=False, encoding="utf-8")
    assert ran.attempted >= 6 and not ran.failed


@pytest.mark.slow
def test_the_commands_print_what_is_shown(tmp_path, monkeypatch, capfd):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "110")
    shown = re.search(r"^```\n(\$ tawasul .*?)^```", text_of("README.md"), re.MULTILINE | re.DOTALL)[1]
    for part in shown.split("$ tawasul ")[1:]:
        command, *lines = part.splitlines()
        assert main(command.split()) == 0
        printed = " ".join("".join(capfd.readouterr()).split())
        for line in lines:
            assert " ".join(line.removesuffix("...").split()) in printed, line
    assert shown in text_of("README.ar.md")


def test_the_english_one_is_short():
    before, more, _ = text_of("README.md").partition("\n## More\n")
    assert more and len(before.split()) <= WORDS_BEFORE_MORE


@pytest.mark.parametrize("name", READMES)
def test_the_figures_are_those_of_the_results(name):
    classification, duplicates, speed = result("classification"), result("duplicates"), result("speed")
    shipped, svm = (classification["systems"][system] for system in ("shipped model", "TF-IDF + linear SVM"))
    review = classification["review"]["agency"]["0.05"]
    found = duplicates["collections"]["backlog"]["systems"]
    ours = found["tawasul_nlp (as shipped)"]
    rates = (speed["systems"][system]["texts_per_s"]["32"] for system in ("tawasul", "BERT-base pipeline, float32"))
    install = result("install")["layers"]["the package alone"]
    figures = [
        f"{classification['n']['test']:,}",
        *("{:.1f}% [{:.1f}, {:.1f}]".format(*(100 * value for value in shipped[task])) for task in ("agency", "topic")),
        *(f"{100 * svm[task][0]:.1f}%" for task in ("agency", "topic")),
        f"{100 * review['coverage']:.0f}%",
        f"{100 * review['error']:.1f}%",
        "F1 {:.0f} [{:.0f}, {:.0f}]".format(*(100 * value for value in (ours["f1"], *ours["f1_interval"]))),
        *(f"{100 * found[f'{system}, our incident vectors']['f1']:.0f}" for system in ("exact cosine", "semhash")),
        f"{100 * found['datasketch MinHash LSH']['f1']:.0f}",
        *(f"{rate:.0f}" for rate in rates),
        str(install["megabytes"]),
        str(install["packages"]),
    ]
    assert [figure for figure in figures if figure not in text_of(name)] == []
