"""A process's peak memory is its own, whoever started it."""

import subprocess
import sys

import pytest


@pytest.mark.skipif(sys.platform != "linux", reason="there is no such count of memory elsewhere")
def test_a_small_process_that_a_large_one_started_has_a_small_peak():
    ballast = bytearray(300 * 2**20)
    command = [sys.executable, "-c", "from eval.processes import peak_kb; print(peak_kb())"]
    peak = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert peak < 100 * 1024 < len(ballast) / 1024
