"""The commands that train choose how threads wait before torch is loaded, where it still matters."""

import os
import subprocess
import sys

import pytest

CODE = """
import os, sys
import tawasul_nlp.cli.app
assert "torch" not in sys.modules
from tawasul_nlp.cli.train import prepare_training
prepare_training()
assert "torch" not in sys.modules
print(os.environ["OMP_WAIT_POLICY"])
"""


@pytest.mark.parametrize(("given", "expected"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")])
def test_threads_sleep_while_they_wait_unless_the_environment_says_otherwise(
    given: dict[str, str], expected: str
) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"} | given
    found = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == expected
