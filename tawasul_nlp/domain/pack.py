"""``Domain``: what the library knows of one country, as a pack of data files."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final

from tawasul_nlp import _yaml
from tawasul_nlp._packs import DEFAULT, PACKS
from tawasul_nlp.domain.places.gazetteer import Gazetteer, read_gazetteer
from tawasul_nlp.domain.routing_rules import RoutingRules, read_rules
from tawasul_nlp.domain.taxonomy import Taxonomy, read_taxonomy
from tawasul_nlp.text.personal.plan import NumberPlan, read_plan

HEAD: Final = "domain.yaml"
_NEEDED: Final = (HEAD, "taxonomy.yaml", "agencies.yaml", "gazetteer.yaml", "routing.yaml", "personal.yaml")
_COMMON: Final = "common_places.txt"
_OF_CASES: Final = ("gazetteer.yaml", "personal.yaml", _COMMON)
_COMMON_LINE: Final = re.compile(r"[0-9]{1,2}(?: \S+)*")


@dataclass(frozen=True, eq=False)
class Domain:
    """One country: its taxonomy, agencies, places, routing rules and personal numbers.

    Two domains are equal if their files are, of which ``fingerprint`` is a hash. A pack is described in
    ``docs/domain.md``.

    Examples
    --------
    >>> domain = Domain.bundled()
    >>> domain.id, [level for level in domain.gazetteer.levels.ids]
    ('bahrain', ['governorate', 'area', 'block', 'road', 'house', 'flat'])
    """

    id: str
    name_ar: str
    name_en: str
    version: str
    fingerprint: str
    _files: Mapping[str, _yaml.File] = field(repr=False)

    @staticmethod
    def bundled(name: str = DEFAULT) -> Domain:
        """Return a pack of the library, which is read once, and each part of it when it is first used.

        An unknown name raises ValueError.
        """
        if name not in bundled_names():
            names = ", ".join(bundled_names())
            raise ValueError(f"no bundled domain {name!r}, expected one of {names}; a folder is read by Domain.load")
        return _bundled(name)

    @staticmethod
    def load(folder: str | Path) -> Domain:
        """Read and check a pack; one whose files have not changed is not checked again.

        A folder has ``domain.yaml``, ``taxonomy.yaml``, ``agencies.yaml``, ``gazetteer.yaml``, ``routing.yaml`` and
        ``personal.yaml``; those of the bundled pack that ``domain.yaml`` is ``based_on`` stand in for missing ones.

        Raises
        ------
        DataError
            If a file is missing, does not follow its schema or names an id that does not exist; the message begins
            with ``file:line:``.
        FileNotFoundError
            If there is no such folder.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder}: no such folder; expected one with {HEAD} and the other files of a pack")
        return _read(tuple(sorted(_files_of(folder).items())))

    @cached_property
    def taxonomy(self) -> Taxonomy:
        """Kinds, topics and agencies; the topics' owners are those of the routing rules."""
        taxonomy, owners = self.written_taxonomy, self.routing.owners
        if not owners:
            return taxonomy
        topics = {key: replace(topic, agency=owners.get(key, topic.agency)) for key, topic in taxonomy.topics.items()}
        return replace(taxonomy, topics=topics)

    @cached_property
    def gazetteer(self) -> Gazetteer:
        """The places, and the levels that they are on."""
        return read_gazetteer(self._files["gazetteer.yaml"])

    @cached_property
    def written_taxonomy(self) -> Taxonomy:
        """The taxonomy as its file says, without the owners of the routing rules."""
        return read_taxonomy(*(self._files[f"{name}.yaml"] for name in ("taxonomy", "agencies", "gazetteer")))

    @cached_property
    def routing(self) -> RoutingRules:
        """The rules from a topic to its recipient."""
        return read_rules(self._files["routing.yaml"], self.written_taxonomy)

    @cached_property
    def personal(self) -> NumberPlan:
        """The national numbers, phones and the like that are masked."""
        return read_plan(self._files["personal.yaml"])

    @cached_property
    def common_places(self) -> Mapping[str, int]:
        """The level of rarity in texts of its common places; empty if the pack does not say."""
        file = self._files.get(_COMMON)
        return {} if file is None else rarity_levels(file.content.decode("utf-8", "replace"), file.path)

    @cached_property
    def case_fingerprint(self) -> str:
        """Hash of the files that decide how cases are compared: its places and personal numbers."""
        return _digest({name: file for name, file in self._files.items() if name in _OF_CASES})

    def file(self, name: str) -> _yaml.File:
        """Return a file of the pack."""
        return self._files[name]

    def to_json(self) -> str:
        """Return the files of the pack as one JSON object, which :meth:`from_json` reads."""
        texts = {name: file.content.decode("utf-8") for name, file in self._files.items()}
        return json.dumps(texts, ensure_ascii=False, indent=1) + "\n"

    @staticmethod
    def from_json(content: str, source: str) -> Domain:
        """Read and check a pack from :meth:`to_json`; errors name ``source``."""
        try:
            texts = json.loads(content)
            files = {str(name): _yaml.File(f"{source}/{name}", text.encode("utf-8")) for name, text in texts.items()}
        except (ValueError, AttributeError, RecursionError) as error:
            raise _yaml.DataError(f"{source}: not a domain pack ({error!r:.200}); restore the file") from error
        return _read(tuple(sorted(files.items())))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Domain) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.id in bundled_names() and self is _bundled(self.id):
            return Domain.bundled, (self.id,)
        return _read, (tuple(self._files.items()),)


@lru_cache(maxsize=1)
def bundled_names() -> tuple[str, ...]:
    """Return the names of the bundled packs."""
    return tuple(sorted(path.parent.name for path in PACKS.glob(f"*/{HEAD}")))


@lru_cache(maxsize=4)
def _bundled(name: str) -> Domain:
    return _domain(_files_of(PACKS / name))


def _files_of(folder: Path) -> dict[str, _yaml.File]:
    files = {name: _yaml.File.of(folder / name) for name in (*_NEEDED, _COMMON) if (folder / name).is_file()}
    if HEAD not in files:
        raise _yaml.DataError(f"{folder}: the folder has no {HEAD}; write one with id, name_ar, name_en and version")
    head = _yaml.read(files[HEAD], _yaml.schema_of("domain"))
    base = head["based_on"]
    if base is not None:
        if base not in bundled_names():
            raise head.error(f"based on {base!r}, expected a bundled pack: {', '.join(bundled_names())}")
        lent = _files_of(PACKS / base)
        if "gazetteer.yaml" in files:
            lent.pop(_COMMON, None)  # it counts other places
        files = {**lent, **files}
    return files


def _domain(files: Mapping[str, _yaml.File]) -> Domain:
    if HEAD not in files:
        raise _yaml.DataError(f"the pack has no {HEAD}; restore it")
    head = _yaml.read(files[HEAD], _yaml.schema_of("domain"))
    missing = [name for name in _NEEDED if name not in files]
    if missing:
        raise head.error(
            f"the pack lacks {', '.join(missing)}; write them, or say based_on: {DEFAULT} for the bundled ones"
        )
    return head.into(Domain, fingerprint=_digest(files), _files=dict(sorted(files.items())))


def _digest(files: Mapping[str, _yaml.File]) -> str:
    digest = hashlib.sha256()
    for name, file in sorted(files.items()):
        digest.update(f"{name} {len(file.content)}\n".encode() + file.content)
    return digest.hexdigest()[:12]


@lru_cache(maxsize=8)
def _read(files: tuple[tuple[str, _yaml.File], ...]) -> Domain:
    domain = _domain(dict(files))
    _ = domain.taxonomy, domain.routing, domain.gazetteer, domain.personal, domain.common_places  # each is checked
    return domain


def rarity_levels(content: str, source: str) -> dict[str, int]:
    """Return the level of each entry in a list of what is common; what is not listed is rarer than all of them.

    DataError names a line that is neither a comment nor a level with its entries.
    """
    levels: dict[str, int] = {}
    for number, line in enumerate(content.splitlines(), 1):
        if line and not line.startswith("#"):
            if not _COMMON_LINE.fullmatch(line):
                raise _yaml.DataError(
                    f"{source}:{number}: expected a level of rarity and its entries, as in '6 riffa sitra'"
                )
            level, *entries = line.split(" ")
            levels |= dict.fromkeys(entries, int(level))
    return levels
