"""The command ``tawasul serve``."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tawasul_nlp.cli.group import MatchOptions, ReopenDays
from tawasul_nlp.cli.options import (
    ClassifierOptions,
    flag,
    frequencies,
    option,
    option_groups,
    weighted,
)

if TYPE_CHECKING:
    from tawasul_nlp import ComplaintClassifier, DuplicateIndex

ENVIRONMENT = {"auto_envvar_prefix": "TAWASUL"}
"""The command's settings: every option is also an environment variable, ``--max-body`` is ``TAWASUL_MAX_BODY``."""


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """Who may ask."""

    tokens: Annotated[
        Path | None,
        option("FILE", "Who may ask: lines of a client's name, its token and its role (read, decide or remove)."),
    ] = None
    anonymous: Annotated[bool, flag("--anonymous", "Let everybody ask who reaches an address beyond this machine.")] = (
        False
    )
    allowed_host: Annotated[
        list[str] | None,
        option("NAME", "What requests may give as Host [default: the address; any for 0.0.0.0]; may be repeated."),
    ] = None


@dataclass(frozen=True, slots=True)
class LimitOptions:
    """How much the service takes on at once."""

    batch_texts: Annotated[int, option("N", "Texts of waiting requests that are read together.", min=1)] = 64
    max_waiting: Annotated[int, option("N", "Texts, or uses of the index, that may wait; more get 503.", min=1)] = 1_024
    max_body: Annotated[int, option("BYTES", "Longest body of a request.", min=1)] = 1_000_000
    max_requests: Annotated[int, option("N", "Requests that are answered at once; more get 503.", min=1)] = 256


@dataclass(frozen=True, slots=True)
class IncidentOptions(MatchOptions):
    """The incidents that it keeps, and when two cases are one of them."""

    index: Annotated[Path | None, option("DIR", "Folder of the incidents that it keeps, created if missing.")] = None
    days: Annotated[
        float | None,
        option("DAYS", "Cases further apart in time count less and less as one incident [default: the model's]", min=0),
    ] = None
    reopen_days: ReopenDays = None

    def opened(self, classifier: ComplaintClassifier) -> AbstractContextManager[DuplicateIndex | None]:
        """Open the index; None for none."""
        from tawasul_nlp import DuplicateGrouper, DuplicateIndex

        if self.index is None:
            return nullcontext()
        grouper = DuplicateGrouper(classifier, threshold=self.threshold, days=self.days, verify=self.verify)
        return DuplicateIndex.open(self.index, grouper, reopen_days=self.reopen_days)


@option_groups
def serve(
    *,
    host: Annotated[str, option("ADDRESS", "Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, option("PORT", "0 for a free one.", min=0, max=65535)] = 8000,
    incidents: IncidentOptions,
    clients: ClientOptions,
    classifier: ClassifierOptions,
    limits: LimitOptions,
) -> None:
    """Answer over HTTP: classify cases, and keep an index of incidents.

    Stops on SIGTERM or Ctrl-C, when what has begun is answered; what waits gets 503. The log goes to standard
    error, a line of JSON for each request, without texts. /docs describes what it answers.

    \b
    Examples:
      tawasul serve
      tawasul serve --index incidents/ --tokens tokens.txt --host 0.0.0.0
    """
    from tawasul_nlp.errors import IndexDiskError
    from tawasul_nlp.service import Limits, create_app
    from tawasul_nlp.service.application import run
    from tawasul_nlp.service.middleware import BearerTokens

    if clients.tokens is None and not clients.anonymous and not _is_local(host):
        raise typer.BadParameter(
            f"{host} may be reached from other machines; name the --tokens of those who may ask, or else --anonymous",
            param_hint="--host",
        )
    with ExitStack() as stack:
        try:
            authenticate = None if clients.tokens is None else BearerTokens(clients.tokens)
            loaded = classifier.unweighted()()
            # Without the frequencies: an index is the same for every command that opens it.
            index = stack.enter_context(incidents.opened(loaded))
            answering = weighted(loaded, frequencies(classifier.priors))
        except IndexDiskError:
            raise
        except (OSError, ValueError) as error:  # what stays wrong, whoever starts the service again
            raise typer.BadParameter(str(error)) from error
        app = create_app(
            answering,
            index,
            limits=Limits(limits.batch_texts, limits.max_waiting, limits.max_body, limits.max_requests),
            authenticate=authenticate,
            hosts=_hosts(host, clients.allowed_host),
        )
        run(app, host, port)


def _hosts(address: str, names: Sequence[str] | None) -> list[str]:
    """Return what requests may give as Host; nothing stands for any.

    >>> _hosts("127.0.0.1", ["Portal.example"]), _hosts("10.0.0.7", None), _hosts("0.0.0.0", None)
    (['portal.example', 'localhost', '127.0.0.1', '[::1]'], ['10.0.0.7'], [])
    """
    if _is_local(address):
        addresses = ["localhost", "127.0.0.1", "[::1]"]
    else:
        addresses = [] if address in ("0.0.0.0", "::") else [f"[{address}]" if ":" in address else address.lower()]
    return [*(name.lower() for name in names or ()), *addresses]


def _is_local(host: str) -> bool:
    """Return whether an address is reached from this machine only.

    >>> [_is_local(host) for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "example.org")]
    [True, True, True, False, False]
    """
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
