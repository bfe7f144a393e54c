"""Measure which forms of the encoder give the same numbers on every processor, and what each costs there.

Each form (``forms.py``) reads validation texts with the kernels that ONNX Runtime takes on this processor, and with
those that it takes where instructions are missing: ``hide.py`` hides them from it under gdb, which leaves the speed as
it is. The golden texts (``golden.py``) are read on processors that QEMU emulates as well.

Run ``python -m eval.speed.processors`` (writes ``eval/results/processors.json`` and ``processors.md``); it needs gdb,
objdump and qemu-user, and for its three columns a processor with AVX-512 and VNNI.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from tokenizers import Tokenizer

from eval.harness import RESULTS, provenance, publish_page, run_script
from eval.speed.processors.forms import EXACT, FORMS, make_forms
from eval.speed.processors.worker import BATCH, EXPORTED, LIBRARY, ROUNDS
from tawasul_nlp.model.folder import BUNDLED, ENCODER, TOKENIZER
from tawasul_nlp.text import Normalizer
from tawasul_nlp.text.arabizi import arabizi_to_arabic
from training.corpus import LabelSpace, load_examples

_VNNI = ("avx512_vnni", "avx_vnni", "amx_bf16", "amx_tile", "amx_int8", "avx512_bf16")
_AVX512 = ("avx512f", "avx512dq", "avx512cd", "avx512bw", "avx512vl")
PROCESSORS: dict[str, tuple[str, ...]] = {
    "as it is": (),
    "AVX-512 without VNNI": _VNNI,
    "AVX2 alone": (*_VNNI, *_AVX512),
}
EMULATED = ("Haswell", "Nehalem")
OUTPUTS = ("embedding", "incident", "topic", "agency", "kind")
Answers = dict[str, np.ndarray]


def read(texts: Path, forms: Path, hidden: tuple[str, ...], out: Path) -> Answers:
    """Run the worker where ONNX Runtime does not see the instructions ``hidden``."""
    command = [sys.executable, "-m", "eval.speed.processors.worker", str(texts), str(forms), str(out)]
    script = Path(__file__).with_name("hide.py")
    gdb = ["gdb", "-q", "-batch", "-x", str(script), "--args"] if hidden else []
    subprocess.run(
        [*gdb, *command], env={**os.environ, "HIDE": ",".join(hidden)}, check=True, stdout=subprocess.DEVNULL
    )
    with np.load(out) as found:
        return dict(found)


def apart(one: Answers, form: str, other: Answers, other_form: str) -> float:
    """Return how far the outputs of two forms lie apart at most."""
    return float(max(np.abs(one[f"{form}|{name}"] - other[f"{other_form}|{name}"]).max() for name in OUTPUTS))


def measure(rows: list[list[int]], truth: np.ndarray, work: Path) -> dict[str, Any]:
    """Run all forms on all processors."""
    texts, forms = work / "texts.json", work / "forms.json"
    texts.write_text(json.dumps(rows))
    paths = make_forms(BUNDLED / ENCODER, work, FORMS)
    forms.write_text(json.dumps({name: str(path) for name, path in paths.items()}))
    answers = {
        name: read(texts, forms, hidden, work / f"answers{at}.npz")
        for at, (name, hidden) in enumerate(PROCESSORS.items())
    }
    here = answers["as it is"]
    exact = here[f"{EXACT}|topic"].argmax(1)
    sizes = {name: path.stat().st_size / 1e6 for name, path in paths.items()}
    own = (BUNDLED / ENCODER).stat().st_size / 1e6
    table: dict[str, Any] = {}
    for form in (LIBRARY, EXPORTED, *FORMS):
        table[form] = {"mb": sizes.get(form, own)}
        for name, found in answers.items():
            topics = found[f"{form}|topic"].argmax(1)
            seconds = found[f"{form}|seconds"].reshape(-1, ROUNDS)
            table[form][name] = {
                "topic_accuracy": float((topics == truth).mean()),
                "same_topic": float((topics == exact).mean()),
                "from_here": apart(found, form, here, form),
                "ms": 1000 * float(np.median(seconds, axis=1).sum()) / len(rows),
            }
    return {
        "forms": table,
        "alone": {
            form: apart(here, f"{form}, alone", here, f"{form}, beside the longest") for form in (LIBRARY, EXPORTED)
        },
        "golden": golden(),
    }


def golden() -> dict[str, float]:
    """Return how far the library is from the golden numbers at most, on this processor and on emulated ones."""
    found = {}
    for name in ("this processor", *EMULATED):
        emulator = [] if name == "this processor" else ["qemu-x86_64", "-cpu", name]
        command = [*emulator, sys.executable, "-m", "eval.speed.processors.golden"]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found[name] = max(json.loads(printed).values())
    return found


def markdown(result: dict[str, Any]) -> str:
    """Render the result."""
    lines = [
        "# The same numbers on every processor",
        "",
        f"{result['date']}, {result['machine']}, one thread; `{result['command']}`, {result['texts']} validation "
        "texts.",
        "",
        "*Topic*: accuracy of the encoder's own topic head. *Same*: the same topic as by exact arithmetic. *Apart*: "
        "the largest difference of any output from what the form gives on this processor as it is. *ms*: processor "
        f"time for a text, medians of {ROUNDS} rounds in batches of {BATCH} by length. The library takes the exact "
        "kernels where products overflow, and writes Softmax as the steps that define it; the other forms but the "
        "exported graph have that Softmax too. The 7-bit forms are rounded once more from the shipped 8 bits.",
        "",
        "| form | MB | " + " | ".join(f"{name}: topic, same, apart, ms" for name in PROCESSORS) + " |",
        "|---|--:|" + "--:|" * len(PROCESSORS),
    ]
    for form, row in result["forms"].items():
        cells = [
            f"{100 * cell['topic_accuracy']:.1f}, {100 * cell['same_topic']:.1f}, {cell['from_here']:.2g}, "
            f"{cell['ms']:.1f}"
            for cell in (row[name] for name in PROCESSORS)
        ]
        lines.append(f"| {form} | {row['mb']:.1f} | {' | '.join(cells)} |")
    lines += [
        "",
        "A text alone and beside the longest one: outputs lie at most "
        + " and ".join(f"{value:.2g} ({form})" for form, value in result["alone"].items())
        + " apart.",
        "",
        "The golden texts, read by the library alone and together, at most: "
        + ", ".join(f"{value:.2g} ({name})" for name, value in result["golden"].items())
        + ". Nehalem stands for processors without FMA, from before 2013, whose float32 sums are rounded more often.",
    ]
    return "\n".join(lines) + "\n"


def main(texts: Annotated[int | None, "so many validation texts"] = None, out: Path = RESULTS / "processors") -> None:
    """Measure and write the results."""
    missing = [name for name in ("gdb", "objdump", "qemu-x86_64") if shutil.which(name) is None]
    if missing:
        sys.exit(f"not installed: {', '.join(missing)} (Debian's packages gdb, binutils and qemu-user)")
    labels = LabelSpace.load()
    examples = load_examples("validation", labels)[:texts]
    tokenizer = Tokenizer.from_file(str(BUNDLED / TOKENIZER))
    tokenizer.enable_truncation(256)
    normalizer = Normalizer("default")
    rows = [e.ids for e in tokenizer.encode_batch([normalizer(arabizi_to_arabic(item.text)) for item in examples])]
    order = sorted(range(len(rows)), key=lambda row: len(rows[row]))
    truth = np.array([labels.topics.index(examples[row].topic) for row in order])
    with tempfile.TemporaryDirectory() as folder:
        measured = measure([rows[row] for row in order], truth, Path(folder))
    result = {
        **provenance("python -m eval.speed.processors", *sys.argv[1:]),
        "texts": len(rows),
        **measured,
    }
    publish_page(result, markdown(result), out)


if __name__ == "__main__":
    sys.exit(run_script(main))
