"""A real model folder with labels of its own: a two-layer BERT with random weights, exported as training exports."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel

from tawasul_nlp.model.folder import (
    CONFIG,
    ENCODER,
    NETWORK,
    NETWORK_CONFIG,
    NGRAM,
    TOKENIZER,
    ModelConfig,
    TaskConfig,
    file_hash,
)
from tawasul_nlp.model.issues import IssueConfig
from tawasul_nlp.model.network import MultiTaskNetwork
from tawasul_nlp.model.ngram import ngram_counts, save_ngram
from tawasul_nlp.model.runtime import TOKEN_OUTPUTS
from tawasul_nlp.text.profiles import PROFILES

TASKS = {"dept": ("طرق", "كهرباء", "صحة"), "subject": ("حفرة", "انقطاع", "موعد", "اقتراح")}
TEXTS = [
    "في حفرة كبيرة في الشارع عند المدرسة",
    "الكهرباء مقطوعة عن بيتنا من الصباح",
    "أحتاج موعد في المركز الصحي",
    "أقترح زيادة الإنارة في الشارع",
    "",
]
_WORDS = sorted({word for text in TEXTS for word in text.split()})
_LETTERS = sorted({letter for word in _WORDS for letter in word} | set("0123456789abcdefghijklmnopqrstuvwxyz"))


def tiny_tokenizer(specials: Sequence[str] = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")) -> Tokenizer:
    """Return a WordPiece tokenizer; special tokens are padding, unknown, start and end."""
    pieces = [*specials, *_LETTERS, *(f"##{letter}" for letter in _LETTERS), *_WORDS]
    vocabulary = {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=specials[1]))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    start, end = specials[2:]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}",
        pair=f"{start} $A {end} $B {end}",
        special_tokens=[(start, vocabulary[start]), (end, vocabulary[end])],
    )
    return tokenizer


class WithTokenTypes(torch.nn.Module):
    """A network whose graph asks for token types, as exports of other tools do."""

    def __init__(self, network: MultiTaskNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, ids: torch.Tensor, mask: torch.Tensor, types: torch.Tensor) -> tuple[torch.Tensor, ...]:
        embedding, *rest = self.network(ids, mask)
        return (embedding + 0.0 * types.sum(), *rest)


def write_tiny_model(
    folder: Path,
    *,
    tasks: Mapping[str, Sequence[str]] = TASKS,
    multi_label: Collection[str] = (),
    tokenizer: Tokenizer | None = None,
    incident: bool = False,
    clauses: str | None = None,
    pairs: bool = False,
    token_types: bool = False,
    ngram: bool = False,
    onnx: bool = True,
    torch_files: bool = False,
    seed: int = 0,
    then: Callable[[Path], None] | None = None,
) -> Path:
    """Write a model folder; ``then`` may change its files before the hashes are taken."""
    torch.manual_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tokenizer or tiny_tokenizer()
    tokenizer.save(str(folder / TOKENIZER))
    shape = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.5,
        attn_implementation="eager",
    )
    sizes = {task: len(labels) for task, labels in tasks.items()}
    encoder = BertModel(shape, add_pooling_layer=False)
    separator = tokenizer.encode("", "").ids[-1] if pairs else None
    network = MultiTaskNetwork(encoder, sizes, incident=incident, clauses=clauses, separator=separator).eval()
    if onnx:
        _export(network, folder / ENCODER, token_types)
    if torch_files:
        from safetensors.torch import save_file

        save_file(network.state_dict(), folder / NETWORK)
        (folder / NETWORK_CONFIG).write_text(shape.to_json_string(use_diff=False), encoding="utf-8")
    weights = {"encoder": 0.7, "ngram": 0.3} if ngram else {"encoder": 1.0}
    if ngram:
        _write_ngram(folder / NGRAM, sizes)
    if then is not None:
        then(folder)
    profile = PROFILES["default"]
    files = [name for name in (TOKENIZER, ENCODER, NETWORK, NETWORK_CONFIG, NGRAM) if (folder / name).exists()]
    settings = {task: TaskConfig(tuple(labels), weights, curve=((0.9, 0.05),)) for task, labels in tasks.items()}
    for task in multi_label:
        offsets = tuple(0.5 * label - 1.0 for label in range(len(tasks[task])))
        settings[task] = replace(settings[task], multi_label=True, offsets=offsets, label_threshold=0.4)
    config = ModelConfig(
        tasks=settings,
        profile=profile.to_dict(),
        profile_fingerprint=profile.fingerprint(),
        max_tokens=48,
        files={name: file_hash(folder / name) for name in files},
        issues=None if clauses is None else IssueConfig(clauses),
        separator=separator,
    )
    config.save(folder)
    return folder


def change_config(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Change the configuration of a folder as plain data; return the folder."""
    path = folder / CONFIG
    raw = json.loads(path.read_text(encoding="utf-8"))
    change(raw)
    path.write_text(json.dumps(raw), encoding="utf-8")
    return folder


def _export(network: MultiTaskNetwork, path: Path, token_types: bool) -> None:
    ids = torch.tensor([[2, 5, 6, 7, 3], [2, 8, 3, 0, 0]])
    mask = (ids != 0).long()
    inputs = {"input_ids": ids, "attention_mask": mask, **({"token_type_ids": ids * 0} if token_types else {})}
    with torch.no_grad():
        torch.onnx.export(
            WithTokenTypes(network) if token_types else network,
            tuple(inputs.values()),
            str(path),
            input_names=list(inputs),
            output_names=list(network.outputs),
            dynamic_axes={
                **{name: {0: "batch", 1: "tokens"} for name in inputs},
                **{name: {0: "batch"} | ({1: "tokens"} if name in TOKEN_OUTPUTS else {}) for name in network.outputs},
            },
            opset_version=17,
            dynamo=False,
        )


def _write_ngram(path: Path, sizes: Mapping[str, int]) -> None:
    from tawasul_nlp.training.ngram_fitting import kept_features

    blocks = tuple(kept_features(counts, 1) for counts in ngram_counts(TEXTS))
    count = sum(len(block.hashes) for block in blocks)
    generator = torch.Generator().manual_seed(1)
    weights = {task: torch.randn(count, size, generator=generator).numpy() for task, size in sizes.items()}
    save_ngram(path, blocks, weights, {task: torch.zeros(size).numpy() for task, size in sizes.items()})
