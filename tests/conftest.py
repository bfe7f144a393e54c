"""Settings of all tests."""

import os
import signal

from hypothesis import HealthCheck, settings

# No test asserts a time, and on a busy machine any example may be slow, and so may be drawing it. `make test` draws the same
# examples on every run; `make test-all` looks for new ones.
untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fixed", parent=untimed, derandomize=True, database=None)
settings.register_profile("random", parent=untimed)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))
# A shell that starts the tests in the background has them ignore interrupts, and so would the commands they interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
