"""The tiny backbone of the tests of training."""

from tests.training.conftest import cases as cases
from tests.training.conftest import tiny_bert as tiny_bert
