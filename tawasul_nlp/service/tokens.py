"""Who may ask: tokens from a file, each with its client's name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from typing import Annotated

from fastapi import HTTPException, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from tawasul_nlp._yaml import DataError

# A token that can be guessed is none; `secrets.token_urlsafe()` gives 43 characters.
_SHORTEST = 20
_ADVICE = "make one with: python -c 'import secrets; print(secrets.token_urlsafe())'"
_bearer = HTTPBearer(auto_error=False, description="A token of the file that the service was started with.")

Client = Callable[..., Awaitable[str]]


def bearer_tokens(path: str | Path) -> Client:
    """Return a dependency for ``create_app`` that knows clients by the tokens of a file.

    Parameters
    ----------
    path : str or Path
        A line for each client: its name, which the log and the history of incidents give, a space, and its token.
        Blank lines and those that begin with ``#`` are ignored. The file is read once.

    Returns
    -------
    callable
        A dependency of FastAPI. It returns the client's name, or answers 401.

    Raises
    ------
    DataError
        If a line is none of these, a token is shorter than 20 characters, or two clients have one token.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "tokens"
    ...     _ = path.write_text("portal short")
    ...     bearer_tokens(path)
    Traceback (most recent call last):
    ...
    tawasul_nlp._yaml.DataError: ...tokens:1: the token has 5 characters, expected at least 20; make one with: ...
    """
    names: dict[bytes, str] = {}
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2:
            raise DataError(f"{path}:{number}: has {len(words)} words, expected a client's name and its token")
        name, token = words
        if len(token) < _SHORTEST:
            raise DataError(
                f"{path}:{number}: the token has {len(token)} characters, expected at least {_SHORTEST}; {_ADVICE}"
            )
        if names.setdefault(_digest(token), name) != name:
            raise DataError(f"{path}:{number}: another client has this token; give each its own")
    if not names:
        raise DataError(f"{path}:1: names no client, expected a line for each with its name and its token")

    async def client(credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]) -> str:
        # Looked up by its hash: the time that this takes says nothing about the tokens.
        name = None if credentials is None else names.get(_digest(credentials.credentials))
        if name is None:
            raise HTTPException(401, "send a known token: Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"})
        return name

    return client


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
