"""The bundled model, loaded once for all tests of the service."""

import pytest

from tawasul_nlp import ComplaintClassifier


@pytest.fixture(scope="session")
def classifier():
    return ComplaintClassifier.from_pretrained()
