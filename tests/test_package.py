"""The front door: names are there, and nothing heavy is loaded before it is used."""

import subprocess
import sys

import pytest

import tawasul_nlp

HEAVY = (
    "torch",
    "transformers",
    "onnxruntime",
    "camel_tools",
    "pandas",
    "numpy",
    "pyarrow",
    "sklearn",
    "datasets",
    "rich",
)


def modules_after(statement):
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy():
    assert not modules_after("import tawasul_nlp") & set(HEAVY)


def test_normalising_and_reading_places_need_no_model_runtime():
    loaded = modules_after("from tawasul_nlp import normalize, find_places; normalize('أ'); find_places('مجمع 714')")
    assert not loaded & {"torch", "transformers", "onnxruntime", "pandas"}


def test_the_command_line_starts_without_a_model_runtime():
    loaded = modules_after("from tawasul_nlp.cli import main; main(['classify', '--help'])")
    assert not loaded & {"torch", "transformers", "onnxruntime", "camel_tools", "pandas", "pyarrow"}


def test_classifying_needs_no_training_framework():
    loaded = modules_after("import tawasul_nlp; tawasul_nlp.predict('الماي مقطوع')")
    # scikit-learn and scipy take longer to import than the model takes to load.
    assert not loaded & {"torch", "transformers", "datasets", "sklearn", "scipy", "pandas"}


@pytest.mark.parametrize("name", tawasul_nlp.__all__)
def test_every_public_name_is_there_and_is_listed(name):
    assert getattr(tawasul_nlp, name) is getattr(tawasul_nlp, name)
    assert name in dir(tawasul_nlp)


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(AttributeError, match="'Classifier'; it has ComplaintClassifier"):
        _ = tawasul_nlp.Classifier
