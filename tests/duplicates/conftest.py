"""The bundled model's grouper, and an index that it opened."""

import pytest

from tawasul_nlp.duplicates import DuplicateGrouper, DuplicateIndex


@pytest.fixture(scope="session")
def grouper():
    return DuplicateGrouper.from_pretrained()


@pytest.fixture
def index(grouper, tmp_path):
    with DuplicateIndex.open(tmp_path / "index", grouper) as opened:
        yield opened
