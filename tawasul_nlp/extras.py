"""Check for optional dependencies, with an error that says how to install them."""

from __future__ import annotations

from importlib.util import find_spec

from tawasul_nlp.errors import MissingExtraError


def require(extra: str, purpose: str, *modules: str) -> None:
    """Check that the modules of an extra are installed, without importing them.

    Raises MissingExtraError if one of them is not installed; the message begins with the purpose.
    """
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        it = "it" if len(missing) == 1 else "them"
        raise MissingExtraError(
            f"{purpose} needs {', '.join(missing)}; install {it} with: pip install 'tawasul-nlp[{extra}]'", extra
        )
