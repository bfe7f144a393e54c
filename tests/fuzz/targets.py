"""What is fuzzed: everything that reads what strangers wrote. A target returns, or fails by a crash of its own.

Each target takes bytes. It may meet the named errors that its reader documents, and nothing else; where there is
something to check about the answer, it checks it. ``test_targets.py`` feeds them changed copies of sound files in every
test run, and ``python -m tests.fuzz TARGET`` runs one for as long as you like under atheris, which follows the branches.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np

from tawasul_nlp._packs import default_file
from tawasul_nlp._yaml import DataError, File
from tawasul_nlp.domain import Domain, find_places
from tawasul_nlp.domain.places.gazetteer import read_gazetteer
from tawasul_nlp.domain.routing import find_named_agencies
from tawasul_nlp.domain.taxonomy import read_taxonomy
from tawasul_nlp.duplicates import DuplicateGrouper, DuplicateIndex
from tawasul_nlp.duplicates.pair_scorer import PairScorer, Verification
from tawasul_nlp.errors import IndexFormatError, ModelFormatError
from tawasul_nlp.model.folder import BUNDLED, read_config
from tawasul_nlp.model.ngram import FeatureBlock, NgramScorer, save_ngram
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.formats import open_reader
from tawasul_nlp.tables.io.write import write_records
from tawasul_nlp.text import Normalizer, mask_personal_data
from tawasul_nlp.text.arabizi import arabizi_to_arabic
from tawasul_nlp.text.personal.patterns import compiled
from tawasul_nlp.text.personal.plan import read_plan
from tawasul_nlp.text.personal.rules import find
from tawasul_nlp.text.profiles import PROFILES
from tests.table_files import write

Target = Callable[[bytes], None]


@cache
def folder() -> Path:
    """Return a folder of this process for the files that targets read."""
    return Path(tempfile.mkdtemp(prefix="tawasul-fuzz-"))


@cache
def grouper() -> DuplicateGrouper:
    """Return the bundled model's grouper, loaded once."""
    return DuplicateGrouper.from_pretrained()


def as_text(data: bytes) -> str:
    """Return any text, half surrogates included: what a program may hand to the library."""
    return data.decode("utf-8", "surrogateescape")


def normaliser(data: bytes) -> None:
    """Every profile, with and without offsets."""
    text = as_text(data)
    for profile in PROFILES:
        normalizer = Normalizer(profile)
        assert isinstance(normalizer(text), str)
    followed = Normalizer("default").normalize_with_offsets(text)
    assert followed.text == Normalizer("default")(text)
    assert len(followed.spans) == len(followed.text)
    assert all(0 <= start <= end <= len(text) for start, end in followed.spans)


def masks(data: bytes) -> None:
    """Personal data, whose spans must lie in the text, one after another."""
    text = as_text(data)
    end = 0
    for span in mask_personal_data(text).spans:
        assert end <= span.start < span.end <= len(text)
        end = span.end


def places(data: bytes) -> None:
    """Places and named agencies, whose spans must lie in the text."""
    text = as_text(data)
    assert all(0 <= mention.start < mention.end <= len(text) for mention in find_places(text).mentions)
    find_named_agencies(text)


def arabizi(data: bytes) -> None:
    """Arabic from Latin letters."""
    assert isinstance(arabizi_to_arabic(as_text(data)), str)


def _table(suffix: str, data: bytes) -> None:
    path = folder() / f"table{suffix}"
    path.write_bytes(data)
    with suppress(TableError):
        reader = open_reader(path)
        last = 0
        for chunk in reader.chunks():
            numbers = sorted([*chunk.numbers, *(reject.row for reject in chunk.rejects)])
            assert numbers == list(range(last + 1, last + 1 + len(numbers))), "a row was lost or counted twice"
            last += len(numbers)
            chunk.records()


def model_config(data: bytes) -> None:
    """A model's configuration."""
    for name in ("tokenizer.json", "model.onnx", "ngram.safetensors", "pairs.json"):
        (folder() / name).touch()
    (folder() / "config.json").write_bytes(data)
    with suppress(ModelFormatError):
        read_config(folder(), verify=False)


def _pack_file(name: str, read: Callable[[File], object], data: bytes) -> None:
    with suppress(DataError):
        read(File(name, data))


def _model_file(name: str, load: Callable[[Path], object], data: bytes) -> None:
    (folder() / name).write_bytes(data)
    with suppress(ModelFormatError):
        load(folder() / name)


def _taxonomy(file: File) -> object:
    return read_taxonomy(file, default_file("agencies.yaml"), default_file("gazetteer.yaml"))


def personal_numbers(data: bytes) -> None:
    """What a pack says of personal numbers: if it is accepted, it can be searched for."""
    with suppress(DataError):
        plan = read_plan(File("personal.yaml", data))
        list(find(compiled(plan), "الرقم 870412356 هاتف 39001234 لوحة 123456 BD 12345678"))


def domain_pack(data: bytes) -> None:
    """The pack that a model folder carries."""
    with suppress(DataError):
        Domain.from_json(data.decode("utf-8", "replace"), "domain.json")


@cache
def _sound_index() -> Path:
    path = folder() / "sound-index"
    with DuplicateIndex.open(path, grouper()) as index:
        index.add([{"id": "A", "text": "الماي مقطوع عن مجمع 714 من أمس"}, {"id": "B", "text": "حفرة في شارع المعارض"}])
    return path


def index_database(data: bytes) -> None:
    """An index whose database is not the one that was written."""
    path = folder() / "index"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(_sound_index(), path)
    (path / "index.sqlite").write_bytes(data)
    for name in ("index.sqlite-wal", "index.sqlite-shm"):
        (path / name).unlink(missing_ok=True)
    with suppress(IndexFormatError), closing(DuplicateIndex.open(path, grouper())) as index:
        index.stats()


# Of tables each row is read or rejected, with its number; one without an ending may be compressed.
_TABLES = {"csv_table": ".csv", "jsonl_table": ".jsonl", "parquet_table": ".parquet"}
TARGETS: dict[str, Target] = {
    **{target.__name__: target for target in (normaliser, masks, places, arabizi)},
    **{name: partial(_table, suffix) for name, suffix in (_TABLES | {"excel_table": ".xlsx"}).items()},
    "ngram_reader": partial(_model_file, "ngram.safetensors", NgramScorer.load),
    "pair_scorer": partial(_model_file, "pairs.json", PairScorer.load),
    "taxonomy": partial(_pack_file, "taxonomy.yaml", _taxonomy),
    "gazetteer": partial(_pack_file, "gazetteer.yaml", read_gazetteer),
    **{target.__name__: target for target in (model_config, personal_numbers, domain_pack, index_database)},
}


def seeds(name: str) -> list[bytes]:
    """Return sound inputs of a target, small enough to be changed often."""
    data = Path(__file__).parents[2] / "tawasul_nlp" / "domain" / "packs" / "bahrain"
    texts = [
        "المجاري طافحة عندنا من اسبوع في مجمع ٧١٤ طريق 1432 والريحة ما تنطاق 😡😡 جدااااا https://x.bh/a?b=1",
        "رقمي 39001234 و+973 1700 0000 والبطاقة 850101234 BH67BMAG00001299123456 سيارة رقم 12345 a.b@c.bh",
        "el maay y9eb fel share3 mn 3 ayam w m7ad 9alla7a, road 2831 block 428",
        "ﷲ ﻻ كـــهرباء &amp; <br> \u200f\u202bالحد\u202c الى بالرفاع",
    ]
    rows = [{"id": number, "النص": text, "l": [1, None]} for number, text in enumerate(texts)]
    if name in ("normaliser", "masks", "places", "arabizi"):
        return [text.encode() for text in texts]
    if name == "csv_table":
        lines = "\r\n".join(f'{number},"{text}",{number}.5' for number, text in enumerate(texts))
        return [f"id,النص,n\r\n{lines}\r\n".encode(), "id;النص\n1;ماء\n".encode("cp1256")]
    if name in ("jsonl_table", "parquet_table"):
        return [write(folder() / f"seed.{name.partition('_')[0]}", rows).read_bytes()]
    if name == "excel_table":
        write_records(folder() / "seed.xlsx", {"id": "int64", "النص": "string"}, rows)
        return [(folder() / "seed.xlsx").read_bytes()]
    if name == "pair_scorer":
        rule = Verification(0.002, 0.98, 6, (1.2, 1.3, 0.2, -0.1), 0.1, 0.4)
        replace(PairScorer.load(BUNDLED / "pairs.json"), verification=rule).save(folder() / "pairs.json")
        return [(BUNDLED / "pairs.json").read_bytes(), (folder() / "pairs.json").read_bytes()]
    if name == "ngram_reader":
        blocks = tuple(FeatureBlock(np.arange(3, dtype=np.int32), np.ones(3, np.float32)) for _ in range(2))
        small = folder() / "small.safetensors"
        save_ngram(small, blocks, {"topic": np.ones((6, 2), np.float32)}, {"topic": np.zeros(2, np.float32)})
        return [(BUNDLED / "ngram.safetensors").read_bytes()[:2_000], small.read_bytes()]
    if name in ("taxonomy", "gazetteer", "personal_numbers"):
        return [(data / f"{name.removesuffix('_numbers')}.yaml").read_bytes()[:6_000]]
    if name == "domain_pack":
        return [json.dumps({path.name: path.read_text("utf-8")[:600] for path in data.glob("*.yaml")}).encode()]
    files = {"model_config": BUNDLED / "config.json", "index_database": _sound_index() / "index.sqlite"}
    return [files[name].read_bytes()]
