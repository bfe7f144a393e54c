"""Settings of all tests."""

from hypothesis import settings

# No test asserts a time, and on a busy machine any example may be slow.
settings.register_profile("untimed", parent=settings.default, deadline=None)
settings.load_profile("untimed")
