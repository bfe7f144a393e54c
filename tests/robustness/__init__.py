"""Attacks on what README and SECURITY.md promise, counted: ``python -m tests.robustness``."""
