"""The ``tawasul`` command."""

from tawasul_nlp.cli.app import main

__all__ = ["main"]
