"""The systems that ``eval.speed.peers`` times, and the process in which each of them is opened.

Run as a module this is such a process: it reads a job from standard input and writes its figures to standard output.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from eval.processes import peak_kb
from training.earlier_models import first_model as first_model_folder

LABELS = 104  # the topics
VOCABULARY = 64_000
MAX_TOKENS = 256


class System(Protocol):
    """Reads texts, so many at once."""

    def __call__(self, texts: list[str], batch_size: int) -> Any: ...


def tawasul(job: dict[str, Any]) -> System:
    """Our model: the whole prediction, with places, routing and reasons."""
    from tawasul_nlp import ComplaintClassifier

    clf = ComplaintClassifier.from_pretrained(job["model"], threads=job["threads"])

    def read(texts: list[str], batch_size: int) -> Any:
        # One text goes in as a str, as a service would send it.
        return clf.predict(texts[0] if len(texts) == 1 else texts, batch_size=batch_size)

    return read


def first_model(job: dict[str, Any]) -> System:
    """The first bundled model by the present code: the whole prediction too."""
    return tawasul({**job, "model": job["first"]})


def bert_pipeline(job: dict[str, Any], int8: bool = False) -> System:
    """A transformers pipeline with a BERT of AraBERT's size."""
    import torch
    from transformers import pipeline

    torch.set_num_threads(job["threads"])
    pipe = pipeline("text-classification", model=job["bert"], device="cpu")
    if int8:
        pipe.model = torch.ao.quantization.quantize_dynamic(pipe.model, {torch.nn.Linear}, dtype=torch.qint8)
    return lambda texts, batch_size: pipe(texts, batch_size=batch_size, truncation=True, max_length=MAX_TOKENS)


def bert_pipeline_int8(job: dict[str, Any]) -> System:
    """The same with torch's dynamic int8."""
    return bert_pipeline(job, int8=True)


def embeddings_and_head(job: dict[str, Any]) -> System:
    """A frozen sentence encoder in torch and a linear head, as SetFit runs: sorted by length, mean of the tokens."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    torch.set_num_threads(job["threads"])
    tokenizer = AutoTokenizer.from_pretrained(job["sentence"])
    encoder = AutoModel.from_pretrained(job["sentence"], add_pooling_layer=False).eval()
    head = torch.nn.Linear(encoder.config.hidden_size, LABELS)

    def read(texts: list[str], batch_size: int) -> list[int]:
        order = sorted(range(len(texts)), key=lambda row: -len(texts[row]))
        answers = [0] * len(texts)
        with torch.inference_mode():
            for start in range(0, len(order), batch_size):
                rows = order[start : start + batch_size]
                given = tokenizer(
                    [texts[row] for row in rows],
                    padding=True,
                    truncation=True,
                    max_length=MAX_TOKENS,
                    return_tensors="pt",
                    return_token_type_ids=False,
                )
                states = encoder(**given).last_hidden_state
                mask = given["attention_mask"].unsqueeze(-1)
                means = (states * mask).sum(1) / mask.sum(1)
                for row, best in zip(rows, head(means).argmax(1).tolist(), strict=True):
                    answers[row] = best
        return answers

    return read


def tfidf_and_svm(job: dict[str, Any]) -> System:
    """TF-IDF of words and character n-grams and a linear SVM, fitted here (nothing is pickled)."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline, make_union
    from sklearn.svm import LinearSVC

    train = json.loads(Path(job["train"]).read_text(encoding="utf-8"))
    features = make_union(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2),
    )
    fitted = make_pipeline(features, LinearSVC()).fit(train["texts"], train["topics"])

    def read(texts: list[str], batch_size: int) -> list[str]:
        parts = (texts[start : start + batch_size] for start in range(0, len(texts), batch_size))
        return [str(label) for part in parts for label in fitted.predict(part)]

    return read


SYSTEMS: dict[str, Callable[[dict[str, Any]], System]] = {
    "tawasul": tawasul,
    "first bundled model": first_model,
    "BERT-base pipeline, float32": bert_pipeline,
    "BERT-base pipeline, dynamic int8": bert_pipeline_int8,
    "sentence embeddings + linear": embeddings_and_head,
    "TF-IDF + linear SVM": tfidf_and_svm,
}
"""Every system by the name that the results give it."""


def prepare(folder: Path, texts: list[str], base: Path | None) -> dict[str, str]:
    """Write a BERT of AraBERT's size, with random weights and a WordPiece of 64,000 pieces, and two other encoders.

    Parameters
    ----------
    folder : Path
        What is there already is kept.
    texts : list of str
        What the WordPiece is trained on.
    base : Path or None
        A model folder whose encoder serves as the sentence encoder; None for the bundled one.

    Returns
    -------
    dict of str to str
        ``bert`` and ``sentence``: two Hugging Face folders; ``first``: the first bundled model's folder.
    """
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    from training.base_encoder import write_base

    bert, sentence = folder / "bert", folder / "sentence"
    if not (bert / "config.json").exists():
        from tokenizers import BertWordPieceTokenizer

        pieces = BertWordPieceTokenizer(lowercase=False, strip_accents=False)
        pieces.train_from_iterator(texts, vocab_size=VOCABULARY, min_frequency=1, show_progress=False)
        specials = {name: f"[{name[:-6].upper()}]" for name in ("pad_token", "unk_token", "cls_token", "sep_token")}
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=pieces._tokenizer, **specials)
        shape = BertConfig(vocab_size=VOCABULARY, num_labels=LABELS)  # the rest is BERT-base, as AraBERT v0.2 has it
        write_base(BertForSequenceClassification(shape), tokenizer, bert)
    if not (sentence / "config.json").exists():
        from tawasul_nlp.model.folder import BUNDLED
        from training.base_encoder import restore_base

        restore_base(base or BUNDLED, sentence)
    first = first_model_folder(folder / "first")
    return {"bert": str(bert), "sentence": str(sentence), "first": str(first)}


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Open one system and time it; what the job asks for is described in ``eval.speed.peers``."""
    texts: list[str] = json.loads(Path(job["texts"]).read_text(encoding="utf-8"))
    began = time.perf_counter()
    system = SYSTEMS[job["system"]](job)
    system(texts[:1], 1)
    cold = time.perf_counter() - began
    if job["what"] == "cold":
        return {"cold_s": cold}
    system(texts[: job["singles"]], 32)  # warm
    latencies = []
    for text in texts[: job["singles"]]:
        began = time.perf_counter()
        system([text], 1)
        latencies.append(time.perf_counter() - began)
    rates = {}
    for size in job["batch_sizes"]:
        began = time.perf_counter()
        system(texts, size)
        rates[str(size)] = len(texts) / (time.perf_counter() - began)
    return {"latencies_s": latencies, "texts_per_s": rates, "peak_mb": peak_kb() / 1024}


if __name__ == "__main__":
    print(json.dumps(measure(json.load(sys.stdin))))
