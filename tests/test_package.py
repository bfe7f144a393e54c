"""The front door: names are there, and nothing heavy is loaded before it is used."""

import importlib
import pickle
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import tawasul_nlp
from tawasul_nlp.errors import MissingExtraError
from tawasul_nlp.tables.errors import InputChangedError, MissingColumnError, OversizedTableError, RowsLostError

TRAINING = {"torch", "transformers", "datasets"}
READING = {"onnxruntime", "camel_tools", "pandas", "pyarrow", "sklearn"}


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import tawasul_nlp", TRAINING | READING | {"numpy", "rich"}),
        ("import tawasul_nlp as t; t.normalize('أ'); t.find_places('مجمع 714')", TRAINING | {"onnxruntime", "pandas"}),
        ("from tawasul_nlp.cli import main; main(['classify', '--help'])", TRAINING | READING),
        ("from tawasul_nlp.cli import main; main(['evaluate', '--help'])", TRAINING | READING),
        # scikit-learn and scipy take longer to import than the model takes to load.
        ("import tawasul_nlp; tawasul_nlp.predict('الماي مقطوع')", TRAINING | {"sklearn", "scipy", "pandas"}),
        pytest.param(
            "from tawasul_nlp.evaluation import evaluate\n"
            "evaluate(None, {'text': ['الماي مقطوع'], 'kind': ['complaint']}, resamples=2)",
            TRAINING | {"matplotlib", "training", "eval"},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_used(statement, absent):
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not absent & set(done.stdout.split())


@pytest.mark.parametrize("name", tawasul_nlp.__all__)
def test_every_public_name_is_there_and_is_listed(name):
    assert getattr(tawasul_nlp, name) is getattr(tawasul_nlp, name)
    assert name in dir(tawasul_nlp)


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(AttributeError, match="'Classifier'; it has Additions, Assignment"):
        _ = tawasul_nlp.Classifier


def named_errors():
    """Return every exception class of the package that does not begin with an underscore, but that of the command."""
    for module in pkgutil.walk_packages(tawasul_nlp.__path__, "tawasul_nlp."):
        if ".ray" not in module.name and "cli" not in module.name and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found, waiting = [], [Exception]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            waiting.append(kind)
            library = kind.__module__.startswith("tawasul_nlp") and ".cli" not in kind.__module__
            if library and not kind.__name__.startswith("_"):
                found.append(kind)
    return sorted(set(found), key=lambda kind: kind.__name__)


def test_every_named_error_is_of_one_family_and_of_one_of_pythons_kinds():
    for kind in named_errors():
        assert issubclass(kind, tawasul_nlp.TawasulError)
        pythons = ValueError, TypeError, RuntimeError, OSError, ImportError
        assert kind is tawasul_nlp.TawasulError or issubclass(kind, pythons)


@pytest.mark.parametrize(
    "error",
    [
        tawasul_nlp.InvalidTextError("text 3 is a bytes", 3),
        MissingColumnError("txt", ["text", "id"]),
        InputChangedError(Path("in.csv")),
        OversizedTableError("in.xlsx holds much"),
        tawasul_nlp.IndexDiskError(28, "No space left on device", "index"),
        RowsLostError("3 of 4"),
        MissingExtraError("it needs torch", "torch"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_named_error_says_the_same_after_it_came_from_another_process(error):
    there = pickle.loads(pickle.dumps(error))
    assert type(there) is type(error) and str(there) == str(error) and vars(there) == vars(error)
    assert getattr(there, "errno", None) == getattr(error, "errno", None)
