"""Settings of all tests."""

import signal

from hypothesis import HealthCheck, settings

# No test asserts a time, and on a busy machine any example may be slow, and so may be drawing it.
settings.register_profile(
    "untimed", parent=settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("untimed")
# A shell that starts the tests in the background has them ignore interrupts, and so would the commands they interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
