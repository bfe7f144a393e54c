"""The features of cases: places, shingles, numbers, topics, days, vectors.

Every feature is an array with one row per case, so a million pairs are compared at once. A missing value is -1 (NaN for
days), and never agrees or conflicts with anything.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, fields
from functools import lru_cache, partial
from itertools import chain
from multiprocessing import get_context

import numpy as np

from tawasul_nlp._system import cores
from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.domain import Domain
from tawasul_nlp.domain.taxonomy import URGENCIES
from tawasul_nlp.duplicates.case_places import PLACES, case_places, code
from tawasul_nlp.duplicates.cases import Case
from tawasul_nlp.duplicates.terms import TERMS, rare_terms, read_numbers, street_names
from tawasul_nlp.errors import InvalidTextError
from tawasul_nlp.text import normalize
from tawasul_nlp.text.arabizi import arabizi_to_arabic

# Signatures of 128 values estimate a Jaccard similarity with a standard error of at most 0.045.
SIGNATURE = 128
SHINGLE = 4
TOPICS = 3
_SEED = 20261124
_MAX_CHARS = 8_000
_CHUNK = 4_096
# From this many cases on, starting processes that read texts pays.
_MANY = 20_000
_WIDTHS = {
    **dict(zip(PLACES, (6, 4, 2, 4, 3, 3), strict=True)),
    "street_names": 3,
    "numbers": 8,
    "amounts": 8,
    "terms": TERMS,
}
_NO_TOPIC = -1
_LATIN = re.compile(r"[A-Za-z]")


@dataclass(slots=True)
class CaseFeatures:
    """The features of n cases."""

    # (n, 128), float32: Incident vectors of length 1.
    vectors: np.ndarray
    # (n, 128), uint16: MinHash signature of the character shingles of the folded text.
    shingles: np.ndarray
    # (n,), int32: Characters of the folded text; 0 if it has no letter or digit.
    length: np.ndarray
    # (n,), bool: Whether more than half of it is Latin letters.
    latin: np.ndarray
    # (n, 16), int32: Codes of its rarest content words (:mod:`~tawasul_nlp.duplicates.terms`), padded with -1.
    terms: np.ndarray
    # (n, few), int32: Codes of the places that the text names, padded with -1. A street has a name, and is a landmark
    # too; blocks and roads have numbers, and count only where these name one place.
    blocks: np.ndarray
    towns: np.ndarray
    quarters: np.ndarray
    landmarks: np.ndarray
    streets: np.ndarray
    roads: np.ndarray
    # (n, 3), int32: Codes of the street names that it mentions, known or not.
    street_names: np.ndarray
    # (n, 8), int32: Codes of its other numbers (:mod:`~tawasul_nlp.duplicates.terms`), padded with -1.
    numbers: np.ndarray
    amounts: np.ndarray
    # (n,), int32: Code of the region.
    governorate: np.ndarray
    # (n, 3), int32: Codes of the likeliest topics, the likeliest first, padded with -1. A code below -1 is a topic of
    # the caller's own, which is compared only with others of that kind.
    topics: np.ndarray
    # (n, 3), float32: Their probabilities.
    shares: np.ndarray
    # (n,), int8: Which of :data:`~tawasul_nlp.domain.taxonomy.URGENCIES` it has, -1 where the model does not tell.
    urgency: np.ndarray
    # (n,), float64: When the case was received, in days since 1970.
    days: np.ndarray
    # Whose places they are.
    domain: Domain = field(default_factory=Domain.bundled)

    def __len__(self) -> int:
        return len(self.length)

    @property
    def horizons(self) -> np.ndarray:
        """After how many days without a report what a case of each one's likeliest topic tells of is over: (n,)."""
        days = _horizons(self.domain)
        topics, kind = np.unique(self.topics[:, 0], return_inverse=True)
        return np.array([days.get(topic, days[_NO_TOPIC]) for topic in topics.tolist()], np.float64)[kind]

    def take(self, rows: np.ndarray | slice) -> CaseFeatures:
        """Return the features of some rows; a slice is not copied."""
        return CaseFeatures(**{name: getattr(self, name)[rows] for name in _ARRAYS}, domain=self.domain)

    @classmethod
    def joined(cls, parts: Sequence[CaseFeatures]) -> CaseFeatures:
        """Return the concatenated rows of ``parts``."""
        arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _ARRAYS}
        return cls(**arrays, domain=parts[0].domain)


@lru_cache(maxsize=4)
def _horizons(domain: Domain) -> dict[int, int]:
    """Return the horizon of each topic of a domain by its code, and that of all others."""
    taxonomy = domain.taxonomy
    days = {code(f"topic:{key}"): topic.horizon_days or taxonomy.horizon_days for key, topic in taxonomy.topics.items()}
    return {_NO_TOPIC: taxonomy.horizon_days, **days}


_ARRAYS = tuple(field.name for field in fields(CaseFeatures) if field.name != "domain")


# In a fixed byte order, so an index can be moved to any machine.
_STORED = np.dtype(
    [
        ("shingles", "<u2", (SIGNATURE,)),
        ("length", "<i4"),
        ("latin", "?"),
        *((name, "<i4", (width,)) for name, width in _WIDTHS.items()),
        ("governorate", "<i4"),
        ("topics", "<i4", (TOPICS,)),
        ("shares", "<f4", (TOPICS,)),
        ("urgency", "i1"),
        ("days", "<f8"),
    ]
)


def pack(features: CaseFeatures) -> list[bytes]:
    """Return each case's features except its vector as bytes; :func:`unpack` reads them."""
    table = np.empty(len(features), _STORED)
    for name in _STORED.fields or ():
        table[name] = getattr(features, name)
    return [row.tobytes() for row in table]


def unpack(blobs: Sequence[bytes], vectors: np.ndarray, domain: Domain | None = None) -> CaseFeatures:
    """Return the features of packed cases, with their vectors (n, 128) and their domain."""
    table = np.frombuffer(b"".join(blobs), _STORED)
    arrays = {name: np.ascontiguousarray(table[name]) for name in _STORED.fields or ()}
    return CaseFeatures(vectors=vectors, **arrays, domain=domain or Domain.bundled())


def unpack_with_vectors(
    blobs: Sequence[bytes], vectors: Sequence[bytes], width: int, domain: Domain | None = None
) -> CaseFeatures:
    """Return the features of packed cases, whose vectors of ``width`` numbers are bytes of float32 too."""
    return unpack(blobs, np.frombuffer(b"".join(vectors), np.float32).reshape(-1, width), domain)


def most_urgent(levels: np.ndarray) -> tuple[str, int] | tuple[None, None]:
    """Return the highest urgency of reports, and the position of the first that has it; twice None if none is told.

    ``levels`` are those of :class:`CaseFeatures`: (reports,), int8.

    Examples
    --------
    >>> most_urgent(np.array([2, -1, 0, 0], np.int8))
    ('emergency', 2)
    """
    told = np.flatnonzero(levels >= 0)
    if not len(told):
        return None, None
    first = int(told[levels[told].argmin()])
    return URGENCIES[levels[first]], first


def place_keys(features: CaseFeatures) -> np.ndarray:
    """Return a hash of each case's places: (n,), uint64; equal for equal places."""
    parts = [getattr(features, name) for name in PLACES]
    return row_hashes(np.concatenate([*parts, features.governorate[:, None]], axis=1))


def row_hashes(table: np.ndarray) -> np.ndarray:
    """Return a hash of each row of integers: (n,), uint64; equal for equal rows."""
    key = np.zeros(len(table), np.uint64)
    for column in table.T:
        key = (key ^ column.astype(np.int64).astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(29)
    return key


def compute_features(
    cases: Sequence[Case],
    vectors: np.ndarray,
    topics: Sequence[Mapping[str, float]],
    own_topics: Collection[str] = (),
    domain: Domain | None = None,
    urgency: np.ndarray | None = None,
) -> CaseFeatures:
    """Compute the features of cases.

    Parameters
    ----------
    cases : sequence of Case
    vectors : ndarray of float32, shape (n, 128)
    topics : sequence of mappings
        For each case the ids of its likeliest topics, at most three, the likeliest first, and their probabilities.
    own_topics : collection of str
        Which of the topics are the caller's own, not the model's.
    domain : Domain or None
        The pack with the places; None is Bahrain's.
    urgency : ndarray of int8, shape (n,), optional
        Which level each has; see :class:`CaseFeatures`. None where no model tells.
    """
    domain = domain or Domain.bundled()
    read_texts = partial(_read_texts, domain)
    texts = [(case.text, case.place) for case in cases]
    parts = [texts[start : start + _CHUNK] for start in range(0, len(texts), _CHUNK)] or [[]]
    if len(cases) >= _MANY and cores() > 1:
        # The processes create no cycles, and searching for them takes a twentieth of their time.
        with ProcessPoolExecutor(cores(), mp_context=get_context("spawn"), initializer=gc.disable) as pool:
            read = list(pool.map(read_texts, parts))
    else:
        read = [read_texts(part) for part in parts]
    arrays = {name: np.concatenate([part[name] for part in read]) for name in read[0]}
    topic_codes = {name: code(f"topic:{name}") for row in topics for name in row}
    topic_codes |= {name: -2 - topic_codes[name] // 2 for name in own_topics}
    days = [np.nan if case.created_at is None else case.created_at.timestamp() / 86_400 for case in cases]
    return CaseFeatures(
        vectors=np.ascontiguousarray(vectors, dtype=np.float32),
        topics=_padded([[topic_codes[name] for name in row] for row in topics], TOPICS, -1, np.int32),
        shares=_padded([list(row.values()) for row in topics], TOPICS, 0, np.float32),
        urgency=np.full(len(cases), -1, np.int8) if urgency is None else urgency,
        days=np.array(days, dtype=np.float64),
        **arrays,
        domain=domain,
    )


def _padded(rows: Sequence[Sequence[float]], width: int, filler: int, kind: type) -> np.ndarray:
    table: np.ndarray = np.full((len(rows), width), filler, kind)
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    if (lengths > width).any():
        rows = [row[:width] for row in rows]
    table[np.arange(width) < lengths[:, None]] = np.fromiter(chain.from_iterable(rows), kind)
    return table


def _read_texts(domain: Domain, texts: list[tuple[str, str | None]]) -> dict[str, np.ndarray]:
    """Read all features of one text alone."""
    read = [text[:_MAX_CHARS] for text, _ in texts]
    # In Arabic letters a report in Arabizi shares words with others. Places are found in the text as typed.
    folded = [" ".join(normalize(arabizi_to_arabic(text), "matching").split()) for text in read]
    places = [
        case_places(text, place and place[:_MAX_CHARS], domain) for text, (_, place) in zip(read, texts, strict=True)
    ]
    numbered = [read_numbers(text, named.numbers, domain) for text, named in zip(read, places, strict=True)]
    rows = {name: [_few(named.codes[name], _WIDTHS[name]) for named in places] for name in PLACES}
    rows["numbers"] = [_few(list(map(code, numbers)), _WIDTHS["numbers"]) for numbers, _ in numbered]
    rows["amounts"] = [list(map(code, amounts)) for _, amounts in numbered]
    rows["street_names"] = [_few(street_names(text), _WIDTHS["street_names"]) for text in folded]
    rows["terms"] = list(map(rare_terms, folded))
    return {
        "shingles": signatures(folded),
        # A text without a letter or digit has length 0 and never matches another.
        "length": np.array([len(text) if any(map(str.isalnum, text)) else 0 for text in folded], np.int32),
        "latin": np.array([2 * len(_LATIN.findall(text)) > len(text) for text in read], np.bool_),
        "governorate": np.array([named.region for named in places], np.int32),
        **{name: _padded(values, _WIDTHS[name], -1, np.int32) for name, values in rows.items()},
    }


def _few(codes: list[int], most: int) -> list[int]:
    """Return unique codes; none if too many: truncated, they would seem to lack what another text names."""
    unique = list(dict.fromkeys(codes)) if len(codes) > 1 else codes
    return unique if len(unique) <= most else []


def signatures(folded: Sequence[str]) -> np.ndarray:
    """Return MinHash signatures of the character shingles of folded texts: (texts, 128), uint16.

    16 bits of each value suffice to compare them. The shingles of all texts are hashed at once.
    """
    from rensa import RMinHash

    if not folded:
        return np.zeros((0, SIGNATURE), np.uint16)
    padded = [text.ljust(SHINGLE, "\0") for text in folded]  # a shorter text is its own only shingle
    points = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), "<u4")
    ends = np.cumsum([len(text) for text in padded])
    whole = np.ones(len(points), np.bool_)
    for back in range(1, SHINGLE):
        whole[ends - back] = False  # a shingle that begins here would reach into the next text
    hashes = row_hashes(np.lib.stride_tricks.sliding_window_view(points, SHINGLE))[whole[: 1 - SHINGLE]]
    starts = np.r_[0, ends - (SHINGLE - 1) * np.arange(1, len(ends) + 1)].astype(np.uint64)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(hashes, starts, SIGNATURE, _SEED)
    return np.asarray(matrix.to_rows(), dtype=np.uint32).astype(np.uint16)


# The tolerance for vectors stored with fewer bits.
_UNEVEN = 0.02


def case_features(classifier: ComplaintClassifier, cases: Sequence[Case], domain: Domain | None = None) -> CaseFeatures:
    """Return the features of cases; the model reads the texts without an embedding.

    ``domain`` is the pack with the places; None for that of the classifier. InvalidTextError if an embedding has
    another size than this model's incident vectors, or not length 1.
    """
    vectors = _checked_embeddings(cases, classifier.incident_size)
    ids = topic_ids(classifier) if any(case.topic for case in cases) else {}
    topic_of = [ids.get(case.topic.casefold(), case.topic) if case.topic else None for case in cases]
    topics: list[dict[str, float]] = [{} if topic is None else {topic: 1.0} for topic in topic_of]
    task = classifier.known_task(None)
    labels = classifier.labels[task]
    urgency = np.full(len(cases), -1, np.int8)
    unread = [row for row, case in enumerate(cases) if case.embedding is None]
    for start in range(0, len(unread), _CHUNK):
        rows = unread[start : start + _CHUNK]
        output = classifier._forward([cases[row].text for row in rows])
        assert output.incident is not None  # the model has incident vectors: their width was read above
        vectors[rows] = output.incident
        urgency[rows] = classifier._urgencies(output)
        probabilities = output.probabilities[task]
        if task in classifier.multi_label_tasks:  # one text's add up to more than 1
            probabilities = probabilities / np.maximum(probabilities.sum(1, keepdims=True), 1.0)
        best = np.argsort(-probabilities, axis=1)[:, :TOPICS]
        for row, likeliest, share in zip(rows, best.tolist(), probabilities, strict=True):
            topics[row] = topics[row] or {labels[label]: float(share[label]) for label in likeliest}
    own_topics = {topic for topic in topic_of if topic is not None}.difference(labels)
    return compute_features(cases, vectors, topics, own_topics, domain or classifier.domain, urgency)


def _checked_embeddings(cases: Sequence[Case], width: int) -> np.ndarray:
    """Return the embeddings of cases, 0 for those without: (n, width), float32."""
    vectors = np.zeros((len(cases), width), np.float32)
    for row, case in enumerate(cases):
        if case.embedding is None:
            continue
        length = float(np.linalg.norm(case.embedding))
        if case.embedding.shape != (width,):
            problem = f"shape {case.embedding.shape}, expected ({width},)"
        elif abs(length - 1) > _UNEVEN:
            problem = f"the length {length:.3g}, expected 1"
        else:
            vectors[row] = case.embedding
            continue
        raise InvalidTextError(f"the embedding of case {row} has {problem}; pass a row of DuplicateGrouper.encode", row)
    return vectors


def topic_ids(classifier: ComplaintClassifier) -> dict[str, str]:
    """Return the ids of the model's topics by id and by their names in the taxonomy.

    In a model without topics, the labels of its first task stand for them.

    Examples
    --------
    >>> topic_ids(ComplaintClassifier.from_pretrained())["انقطاع الكهرباء"]
    'power_outage'
    """
    ids: dict[str, str] = {}
    task = classifier.known_task(None)
    for label in classifier.labels[task]:
        entry = classifier.taxonomy.topics.get(label) if task == "topic" else None
        for name in (label,) if entry is None else (label, entry.name_ar, entry.name_en):
            ids.setdefault(name.casefold(), label)
    return ids
