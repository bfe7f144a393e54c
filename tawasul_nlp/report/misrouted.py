"""Which cases went to another agency than the one that the model names."""

from __future__ import annotations

import numpy as np

from tawasul_nlp.domain import Domain
from tawasul_nlp.domain.agencies import find_named_agencies
from tawasul_nlp.report.tally import Tally


def misrouted(tally: Tally, domain: Domain) -> np.ndarray:
    """Return whether each row went elsewhere: (rows,), bool.

    An agency is told by its id or any of its names. Rows whose routing names no one agency do not count, nor do
    those for which the model names a group that the agency belongs to, or no agency at all.
    """
    routed_to = [routed_agency(name, domain) for name in tally.codes["routed"].names]
    answers = tally.codes["agency"].names
    # One cell for each pair of a routing and an answer, and a last row and column for those without.
    elsewhere = np.zeros((len(routed_to) + 1, len(answers) + 1), bool)
    for routed, agency in enumerate(routed_to):
        for answer, name in enumerate(answers):
            elsewhere[routed, answer] = agency is not None and not _same(agency, name, domain)
    found: np.ndarray = elsewhere[np.asarray(tally.values["routed"]), np.asarray(tally.values["agency"])]
    return found


def routed_agency(name: str, domain: Domain) -> str | None:
    """Return the id of the one agency that a cell names."""
    if name in domain.taxonomy.agencies:
        return name
    named = {mention.id for mention in find_named_agencies(name, domain)}
    return named.pop() if len(named) == 1 else None


def _same(routed: str, answer: str, domain: Domain) -> bool:
    agency = domain.taxonomy.agencies.get(answer)
    if agency is None:
        return routed == answer
    return agency.kind == "none" or routed == answer or routed in agency.members.values()
