"""Compare ways to store and run the fine-tuned encoder in 8 bits with the float32 graph that it comes from.

Asked of each way: how large is the file, how often does the topic head still say what float32 says and what the truth
is, how near are the embeddings, does an answer depend on the texts that share its batch, and how fast is it on one
thread? Texts are a sample of the validation split; static quantisation is calibrated on training texts, one length a
batch, so that no padding is measured. All contenders take their turn in each round, so that a change in the machine's
load meets all of them, and a ratio compares times of the same round.

Run ``python -m eval.quality.quantisation --state STATE --base BASE``; ``--openvino`` adds OpenVINO and NNCF, which are
installed into a throwaway environment (``--environment`` keeps it). Results go to ``eval/results/quantisation.json``
and ``.md``.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import logging
import random
import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from eval.quality.quantisation_forms import add_openvino, onnx_contenders
from eval.quality.quantisation_runners import Batch, Contender, openvino_process, pad
from eval.results_files import RESULTS, provenance, publish_page
from tawasul_nlp.model.folder import TOKENIZER
from tawasul_nlp.model.network import MultiTaskNetwork
from tawasul_nlp.text import Normalizer, arabizi_to_arabic
from tawasul_nlp.training.package import MAX_TOKENS
from training.corpus import TASKS, LabelSpace, load_examples

SEED = 20261124
BATCH = 32
CALIBRATION = 300
DEPENDENCE = 3  # batches in which a text meets others
CLOCKED = 10 * BATCH  # texts that are timed

Answers = dict[str, np.ndarray]
Fidelity = tuple[Answers, dict[str, float]]


def read_network(state: Path, base: Path, labels: LabelSpace) -> MultiTaskNetwork:
    """Return the network of a fine-tuned state (training saves it beside its training heads)."""
    from safetensors.torch import load_file
    from transformers import BertModel

    encoder = BertModel.from_pretrained(base, add_pooling_layer=False)
    network = MultiTaskNetwork(encoder, {task: len(labels.of(task)) for task in TASKS})
    prefix = "network."
    tensors = load_file(state)
    network.load_state_dict({k.removeprefix(prefix): tensor for k, tensor in tensors.items() if k.startswith(prefix)})
    return network.eval()


def in_batches(rows: list[list[int]], size: int) -> list[Batch]:
    """Pad neighbours together, ``size`` at a time."""
    return [pad(rows[start : start + size]) for start in range(0, len(rows), size)]


def by_length(rows: list[list[int]]) -> list[Batch]:
    """Return batches of at most 32 texts of the same length, so that nothing is padded."""
    groups: dict[int, list[list[int]]] = defaultdict(list)
    for row in rows:
        groups[len(row)].append(row)
    return [batch for length in sorted(groups) for batch in in_batches(groups[length], BATCH)]


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the cosine of each pair of rows (texts, hidden)."""
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return np.asarray((left * right).sum(1) / norms)


def joined(outputs: list[Answers]) -> Answers:
    """Return the outputs of all batches together (texts, values)."""
    return {key: np.concatenate([out[key] for out in outputs]).astype(np.float64) for key in ("embedding", "topic")}


def fidelity(contender: Contender, rows: list[list[int]], truth: np.ndarray, reference: Answers | None) -> Fidelity:
    """Measure what a contender answers.

    Parameters
    ----------
    contender : Contender
        Opened.
    rows : list of list of int
        Token ids of each text.
    truth : ndarray
        The topic of each text.
    reference : dict or None
        The answers of the reference; None if this is the reference itself.

    Returns
    -------
    answers, figures : dict, dict
        The embeddings and topic logits of ``rows``, and what the table says about them.
    """
    order = sorted(range(len(rows)), key=lambda row: len(rows[row]))
    truth = truth[order]
    answers = joined(contender.run("quality", in_batches([rows[row] for row in order], BATCH)))
    reference = reference or answers
    best, expected = answers["topic"].argmax(1), reference["topic"].argmax(1)
    near = cosines(answers["embedding"], reference["embedding"])
    # Not sorted by length, so that texts share a batch with much longer ones; whole batches only.
    some = rows[: min(len(rows), DEPENDENCE * BATCH) // BATCH * BATCH]
    alone, among = (
        joined(contender.run(name, in_batches(some, size))) for name, size in (("alone", 1), ("among", BATCH))
    )
    files = {contender.path, contender.path.with_suffix(".bin")}
    return answers, {
        "mb": sum(path.stat().st_size for path in files if path.exists()) / 1e6,
        "topic_accuracy": float((best == truth).mean()),
        "won_from_reference": int(((best == truth) & (expected != truth)).sum()),
        "lost_to_reference": int(((best != truth) & (expected == truth)).sum()),
        "same_topic": float((best == expected).mean()),
        "cosine_mean": float(near.mean()),
        "cosine_min": float(near.min()),
        "logit_difference_mean": float(np.abs(answers["topic"] - reference["topic"]).mean()),
        "batch_cosine_min": float(cosines(alone["embedding"], among["embedding"]).min()),
        "batch_logit_difference_max": float(np.abs(alone["topic"] - among["topic"]).max()),
        "batch_other_topic": int((alone["topic"].argmax(1) != among["topic"].argmax(1)).sum()),
    }


def clock(contenders: dict[str, Contender], rows: list[list[int]], rounds: int) -> dict[str, dict[str, float]]:
    """Time every contender in turn, in batches of 32 sorted by length and one text at a time.

    Returns
    -------
    dict
        For each contender the seconds for a text (``many_seconds``, mean; ``one_seconds``, median of the texts) and how
        many times as fast as the first contender it was (``many_speedup``, ``one_speedup``), each by wall clock and
        by processor time: medians of the rounds.
    """
    many, one = in_batches(sorted(rows, key=len), BATCH), in_batches(rows[:BATCH], 1)
    times: dict[str, dict[str, list[Any]]] = {name: {"many": [], "one": []} for name in contenders}
    for turn in range(rounds):
        for name, contender in contenders.items():
            contender.run("warm", one[:2])  # the others have had the caches meanwhile
            times[name]["many"].append(np.sum(contender.clock("many", many), 0) / len(rows))
            times[name]["one"].append(np.median(contender.clock("one", one), 0))
        print(f"round {turn + 1} of {rounds}", file=sys.stderr, flush=True)
    first = times[next(iter(contenders))]
    table: dict[str, dict[str, float]] = {name: {} for name in contenders}
    for name, taken in times.items():
        for key, values in taken.items():
            seconds, speedup = np.median(values, 0), np.median(np.array(first[key]) / np.array(values), 0)
            for at, clock_name in enumerate(("", "processor_")):
                table[name][f"{key}_{clock_name}seconds"] = float(seconds[at])
                table[name][f"{key}_{clock_name}speedup"] = float(speedup[at])
    return table


def compare(contenders: dict[str, Contender], rows: list[list[int]], truth: np.ndarray, rounds: int) -> dict[str, Any]:
    """Measure every contender; the first one is the reference."""
    table: dict[str, dict[str, float]] = {}
    reference = None
    for name, contender in contenders.items():
        load = 1000 * statistics.median(contender.load() for _ in range(3))
        answers, figures = fidelity(contender, rows, truth, reference)
        reference = reference or answers
        table[name] = {**figures, "load_ms": load}
        print(f"{name}: accuracy {figures['topic_accuracy']:.4f}", file=sys.stderr, flush=True)
    clocked = rows[:CLOCKED]
    for name, figures in clock(contenders, clocked, rounds).items():
        table[name].update(figures)
    return {
        "texts": len(rows),
        "batch_texts": min(len(rows) // BATCH, DEPENDENCE) * BATCH,
        "clocked_texts": len(clocked),
        "single_texts": len(rows[:BATCH]),
        "systems": table,
    }


def markdown(result: dict[str, Any]) -> str:
    """Render the result as a table."""
    systems = result["systems"]
    waits = [
        row[f"{key}_seconds"] / row[f"{key}_processor_seconds"] for row in systems.values() for key in ("many", "one")
    ]
    lines = [
        "# The encoder in 8 bits",
        "",
        f"{result['date']}, {result['machine']}, one thread; `{result['command']}` (state {result['state']}).",
        "",
        f"{result['texts']} validation texts; static forms are calibrated on {result['calibration']} training texts. "
        "*Topic*: accuracy of the encoder's own topic head, and how many texts are won from and lost to float32. "
        "*Same*: the same topic as float32. *Cosine*: embeddings against float32. *Batch*: the same text alone and "
        f"among 32, {result['batch_texts']} texts: lowest cosine, largest difference of a topic logit, and texts "
        f"whose topic changes. *Speed* (times float32's) and time for a text: in batches of 32 sorted by length, "
        f"{result['clocked_texts']} texts, and one by one (median of {result['single_texts']} texts); medians of "
        f"{result['rounds']} rounds, wall clock. Wall-clock over processor time was {min(waits):.2f} to "
        f"{max(waits):.2f} (1 on a machine that does nothing else).",
        "",
        "| form | MB | topic % (won, lost) | same % | cosine mean, min | batch: cosine, logit, topics "
        "| batch of 32: speed (texts/s) | alone: speed (ms) | load ms |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, row in systems.items():
        lines.append(
            f"| {name} | {row['mb']:.1f} "
            f"| {100 * row['topic_accuracy']:.1f} (+{row['won_from_reference']}, -{row['lost_to_reference']}) "
            f"| {100 * row['same_topic']:.1f} | {row['cosine_mean']:.4f}, {row['cosine_min']:.4f} "
            f"| {row['batch_cosine_min']:.5f}, {row['batch_logit_difference_max']:.2g}, {row['batch_other_topic']} "
            f"| {row['many_speedup']:.2f} ({1 / row['many_seconds']:.0f}) "
            f"| {row['one_speedup']:.2f} ({1000 * row['one_seconds']:.1f}) | {row['load_ms']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", type=Path, required=True, help="a fine-tuned state.safetensors")
    parser.add_argument("--base", type=Path, required=True, help="the base encoder that it was tuned from")
    parser.add_argument("--openvino", action="store_true", help="also measure OpenVINO with NNCF")
    parser.add_argument("--environment", type=Path, help="reuse (or make and keep) OpenVINO's environment here")
    parser.add_argument("--texts", type=int, default=300, help="validation texts, at least 32 (default 300)")
    parser.add_argument("--rounds", type=int, default=7, help="turns of the clock (default 7)")
    parser.add_argument("--out", type=Path, default=RESULTS / "quantisation")
    arguments = parser.parse_args()
    if arguments.texts < BATCH or arguments.rounds < 1:
        parser.error(f"--texts must be at least {BATCH} and --rounds at least 1")
    import torch

    torch.set_num_threads(1)
    logging.disable(logging.WARNING)  # the quantisers log each node that they touch
    labels = LabelSpace.load()
    rng = random.Random(SEED)
    tokenizer = Tokenizer.from_file(str(arguments.base / TOKENIZER))
    tokenizer.enable_truncation(MAX_TOKENS)
    normalizer = Normalizer("default")

    def tokenize(texts: list[str]) -> list[list[int]]:
        clean = [normalizer(arabizi_to_arabic(text)) for text in texts]
        return [encoding.ids for encoding in tokenizer.encode_batch(clean)]

    validation = load_examples("validation", labels)
    examples = rng.sample(validation, min(arguments.texts, len(validation)))
    training = rng.sample(load_examples("train", labels), CALIBRATION)
    calibration = by_length(tokenize([example.text for example in training]))
    truth = np.array([labels.topics.index(example.topic) for example in examples])
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        work = Path(folder)
        contenders = onnx_contenders(read_network(arguments.state, arguments.base, labels), calibration, work)
        if arguments.openvino:
            process = stack.enter_context(openvino_process(arguments.environment))
            add_openvino(contenders, process, calibration, work)
        measured = compare(contenders, tokenize([example.text for example in examples]), truth, arguments.rounds)
    options = f"{' --openvino' if arguments.openvino else ''} --texts {arguments.texts} --rounds {arguments.rounds}"
    result = {
        **provenance(f"python -m eval.quality.quantisation --state STATE --base BASE{options}"),
        "state": hashlib.sha256(arguments.state.read_bytes()).hexdigest()[:12],
        "calibration": CALIBRATION,
        "rounds": arguments.rounds,
        **measured,
    }
    publish_page(result, markdown(result), arguments.out)


if __name__ == "__main__":
    main()
