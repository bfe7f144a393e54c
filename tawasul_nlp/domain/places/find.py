"""Find the places that a text names, and their region."""

from __future__ import annotations

from collections.abc import Callable

from tawasul_nlp.domain.named_places import read_named
from tawasul_nlp.domain.numbered_places import read_numbered
from tawasul_nlp.domain.pack import Domain
from tawasul_nlp.domain.places.context import Context
from tawasul_nlp.domain.places.gazetteer import Gazetteer
from tawasul_nlp.domain.places.levels import COUNTRY
from tawasul_nlp.domain.places.mention import Place, Places
from tawasul_nlp.domain.scopes import with_scopes
from tawasul_nlp.domain.words import split_words
from tawasul_nlp.errors import checked_text


def find_places(text: str, domain: Domain | None = None) -> Places:
    """Find blocks, roads, houses, areas, streets and landmarks in a text, and its region.

    Parameters
    ----------
    text
        The original text; spans refer to it.
    domain
        The pack whose places are searched for; None is Bahrain's.

    Returns
    -------
    Places
        Time and memory are linear in the length of the text.

    Raises
    ------
    InvalidTextError
        If ``text`` is not a str.

    Examples
    --------
    >>> places = find_places("الزبالة متراكمة بالمحرق مجمع ٢١٤ من اسبوع")
    >>> places.governorate, places.block, places.area
    ('muharraq', 214, 'muharraq_city')
    >>> find_places("وصلنا إلى الحد الأدنى").mentions
    ()
    """
    return places_in(checked_text(text), (domain or Domain.bundled()).gazetteer)


def places_in(text: str, gazetteer: Gazetteer) -> Places:
    """Find the places of a gazetteer in a text."""
    context = Context(split_words(text), gazetteer)
    found: list[Place] = []
    openers = gazetteer.openers
    unread = 0
    for index, word in enumerate(context.folded):
        names, numbered = openers[word]
        if (names or numbered) and index >= unread:
            step = (names and read_named(context, index, found)) or (numbered and read_numbered(context, index, found))
            unread = index + step
    return _summarise(with_scopes(tuple(found), gazetteer), gazetteer, context.elsewhere)


def _summarise(mentions: tuple[Place, ...], gazetteer: Gazetteer, elsewhere: set[int]) -> Places:
    """Weigh the mentions: a block before an area, an area before a place that people from everywhere visit.

    A municipality's name comes last, since a case often describes calls to one that serves another place. So does a
    place that somebody moved from.

    Where mentions of equal weight point to two governorates (a road from Sitra to Khalifa Town), the text is ambiguous:
    the first one named was wrong in 26 of 62 such training cases.
    """
    levels = gazetteer.levels
    if not mentions:
        return Places(levels=levels.ids)
    strong = [mention for mention in mentions if mention.strength == "strong"]
    ranks = [3 if mention.start in elsewhere else _rank(mention, gazetteer) for mention in strong]
    first = min(ranks, default=0)
    best = [mention for mention, rank in zip(strong, ranks, strict=True) if rank == first]
    torn = len({mention.governorate for mention in best}) > 1
    chosen = None if torn or not best else best[0].governorate
    if torn:
        evidence = [f"either {mention.evidence}" for mention in best]
    elif chosen is None:
        evidence = [mention.evidence for mention in mentions if mention.strength == "weak"]
    else:
        evidence = [mention.evidence for mention in strong if mention.governorate == chosen]
        evidence += [f"but {mention.evidence}" for mention in strong if mention.governorate != chosen]

    def preferred(kind: str, fits: Callable[[Place], bool] = lambda mention: True) -> Place | None:
        """Return the first mention of a kind, preferably in the chosen region."""
        of_kind = [mention for mention in mentions if mention.kind == kind and fits(mention)]
        return min(of_kind, key=lambda found: (found.governorate != chosen, found.start in elsewhere), default=None)

    block = None if levels.block is None else preferred(levels.block.id)
    area = preferred(levels.area.id)
    if block is not None and block.within is not None:  # the area is that of the block
        area = preferred(levels.area.id, lambda mention: gazetteer.whole_of(mention.id or "") == block.within) or area
    quarter = preferred(levels.area.id, lambda mention: gazetteer.places[mention.id or ""].is_quarter)
    return Places(
        mentions,
        chosen,
        tuple(dict.fromkeys(evidence)),
        block.number if block is not None else None,
        area.id if area is not None else None,
        gazetteer.levels.ids,
        quarter.id if quarter is not None else None,
    )


def _rank(mention: Place, gazetteer: Gazetteer) -> int:
    block = gazetteer.levels.block
    if block is not None and block.unique_in == COUNTRY and mention.kind == block.id:
        return 0
    place = gazetteer.places.get(mention.id or "")
    return 2 if place is not None and place.light else 1
