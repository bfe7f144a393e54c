"""Waiting for what will come, however slow or busy the machine is."""

import time

HANG = 3600.0
"""Seconds after which nothing is to be expected any more: only what hangs is ever waited for so long."""


def wait_until(condition, process=None):
    """Wait until a condition holds; fail if the process that should bring it about has ended without.

    Examples
    --------
    >>> wait_until(iter([False, True]).__next__)
    """
    end = time.monotonic() + HANG
    while not condition():
        assert process is None or process.poll() is None or condition(), f"the process ended: {process.returncode}"
        assert time.monotonic() < end, "it never came"
        time.sleep(0.005)
