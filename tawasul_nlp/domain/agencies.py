"""Find the agencies that a text names, or that a whole cell stands for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from tawasul_nlp.domain.pack import Domain
from tawasul_nlp.domain.places.lexicon import Phrases
from tawasul_nlp.domain.taxonomy import Taxonomy
from tawasul_nlp.domain.words import SENTENCE_END, Words, fold_phrase, particle_length, split_words
from tawasul_nlp.errors import checked_text


@dataclass(frozen=True, slots=True)
class AgencyMention:
    """An agency that a text names; ``start:end`` is the name's slice of the original text."""

    id: str
    start: int
    end: int


def find_named_agencies(text: str, domain: Domain | None = None) -> tuple[AgencyMention, ...]:
    """Find the agencies that a text names by an official name, a former name, an abbreviation or an alias.

    Names that mean several agencies or are common nouns (``ambiguous_aliases`` of the data: "البلدية", "الهيئة") are
    ignored, and so are former names that two agencies share. The pack is Bahrain's if none is given.

    Raises
    ------
    InvalidTextError
        If ``text`` is not a str.

    Examples
    --------
    >>> [mention.id for mention in find_named_agencies("كلمت هيئة الكهرباء ووزارة الأشغال ومحد رد")]
    ['ewa', 'works']
    >>> find_named_agencies("وين البلدية؟")
    ()
    """
    text = checked_text(text)
    names = _names((domain or Domain.bundled()).taxonomy)
    words = split_words(text)
    mentions: list[AgencyMention] = []
    unread = 0
    for index, word in enumerate(words.folded):
        if index < unread:
            continue
        for reading, _ in names.openings[word]:
            match = names.longest(reading, words.folded, index)
            if match is None or _is_cut(words, index, match[0]):
                continue
            length, identifier = match
            start = words.after_prefix(index, particle_length(word, reading))
            mentions.append(AgencyMention(identifier, start, words.ends[index + length - 1]))
            unread = index + length
            break
    return tuple(mentions)


def _is_cut(words: Words, index: int, length: int) -> bool:
    """Return whether a sentence ends among ``length`` words."""
    return any(words.separated(position, SENTENCE_END) for position in range(index, index + length - 1))


def agency_named(name: str, domain: Domain | None = None) -> str | None:
    """Return the id of the agency, or group of agencies, that a whole cell stands for.

    It may be an id, a code of another system, an official or former name, an abbreviation or an alias; spelling is
    folded. None for a name of no agency, or of several (``ambiguous_aliases`` of the data).

    Examples
    --------
    >>> agency_named("وزارة الاشغال"), agency_named("EWA"), agency_named("municipality"), agency_named("البلدية")
    ('works', 'ewa', 'municipality', None)
    """
    taxonomy = (domain or Domain.bundled()).taxonomy
    written = checked_text(name).strip()
    if written in taxonomy.agencies:
        return written
    coded = taxonomy.agencies_by_code().get(written)
    return coded.id if coded is not None else _cell_names(taxonomy).get(fold_phrase(written))


@lru_cache(maxsize=8)
def _cell_names(taxonomy: Taxonomy) -> dict[tuple[str, ...], str]:
    """Collect the unambiguous names, those of groups and of no agency too."""
    others = (agency for agency in taxonomy.agencies.values() if agency.kind in ("none", "group"))
    names = {fold_phrase(name): agency.id for agency in others for name in (agency.name_ar, agency.name_en)}
    return names | _owners(taxonomy)


@lru_cache(maxsize=8)
def _names(taxonomy: Taxonomy) -> Phrases:
    return Phrases(_owners(taxonomy).items())


def _owners(taxonomy: Taxonomy) -> dict[tuple[str, ...], str]:
    """Collect the unambiguous names; official names override former ones, and shared former names are dropped."""
    barred = {fold_phrase(alias) for alias in taxonomy.ambiguous_aliases}
    owners: dict[tuple[str, ...], str] = {}
    former: dict[tuple[str, ...], set[str]] = {}
    for agency in taxonomy.agencies.values():
        if agency.kind in ("none", "group"):
            continue
        abbreviation = (agency.abbreviation,) if agency.abbreviation else ()
        for name in (agency.name_ar, agency.name_en, *agency.aliases_ar, *agency.aliases_en, *abbreviation):
            owners.setdefault(fold_phrase(name), agency.id)
        for name in agency.former_names:
            former.setdefault(fold_phrase(name), set()).add(agency.id)
    for words, identifiers in former.items():
        if len(identifiers) == 1:
            owners.setdefault(words, next(iter(identifiers)))
    return {words: identifier for words, identifier in owners.items() if words not in barred}
