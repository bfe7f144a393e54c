"""Which cases went to another agency than the one that the model names."""

from __future__ import annotations

import numpy as np

from tawasul_nlp.domain import Domain
from tawasul_nlp.report.tally import Tally
from tawasul_nlp.review.routing_comparison import AgencyNames


def misrouted(tally: Tally, domain: Domain) -> np.ndarray:
    """Return whether each row went elsewhere: (rows,), bool.

    An agency is told by its id, a code or any of its names. Rows whose routing names no one agency do not count, nor do
    those for which the model names no agency at all, or a group or ministry of which the agency is a part.
    """
    names = AgencyNames(domain)
    routed_to = [names.find(name) for name in tally.codes["routed"].names]
    answers = tally.codes["agency"].names
    # One cell for each pair of a routing and an answer, and a last row and column for those without.
    elsewhere = np.zeros((len(routed_to) + 1, len(answers) + 1), bool)
    for routed, agency in enumerate(routed_to):
        for answer, name in enumerate(answers):
            elsewhere[routed, answer] = agency is not None and not _same(agency, name, names, domain)
    found: np.ndarray = elsewhere[np.asarray(tally.values["routed"]), np.asarray(tally.values["agency"])]
    return found


def _same(routed: str, answer: str, names: AgencyNames, domain: Domain) -> bool:
    agency = domain.taxonomy.agencies.get(answer)
    return agency is not None and (agency.kind == "none" or names.agree(routed, answer))
