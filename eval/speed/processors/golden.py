"""Texts with the numbers that the bundled encoder gives for them on every processor, by exact arithmetic.

Run ``python -m eval.speed.processors.golden`` to print how far this processor is from them, or ``--make`` to write the
file (``eval/data/golden_encoder.json``) anew when the encoder has changed.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np

from eval.harness import run_script
from eval.speed.processors.forms import EXACT, make_forms
from tawasul_nlp.model.encoder import EncoderScorer
from tawasul_nlp.model.folder import BUNDLED, ENCODER, read_config
from tawasul_nlp.model.onnx_runtime import OnnxRuntime
from training.corpus import LabelSpace, load_examples

GOLDEN = Path(__file__).parents[2] / "data" / "golden_encoder.json"
TEXTS = 16
CLOSE = 1e-3
"""How near every processor must come."""


def encode(texts: list[str], encoder: Path, batch_size: int) -> dict[str, np.ndarray]:
    """Return an encoder's outputs (texts, numbers) in place of the bundled one's, the mean of those of each token."""
    scorer = EncoderScorer(BUNDLED, read_config(BUNDLED), OnnxRuntime(encoder, 1))
    outputs = scorer.run(scorer.tokenize(texts), batch_size)
    return {name: np.stack([np.atleast_2d(own).mean(0) for own in values]) for name, values in outputs.items()}


def differences(most: int = TEXTS) -> dict[str, float]:
    """Return how far each output is from the golden one, over ``most`` texts read alone and together."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))[:most]
    wanted = {name: np.array([text[name] for text in golden]) for name in golden[0] if name != "text"}
    texts = [text["text"] for text in golden]
    runs = [encode(texts, BUNDLED / ENCODER, batch_size) for batch_size in (1, TEXTS)]
    return {name: float(max(np.abs(found[name] - wanted[name]).max() for found in runs)) for name in wanted}


def write_golden() -> None:
    """Write the golden file: validation texts of every length, from every register."""
    examples = sorted(load_examples("validation", LabelSpace.load()), key=lambda example: len(example.text))
    chosen = [examples[at].text for at in np.linspace(0, len(examples) - 1, TEXTS).astype(int)]
    with tempfile.TemporaryDirectory() as folder:
        exact = make_forms(BUNDLED / ENCODER, Path(folder), [EXACT])[EXACT]
        outputs = encode(chosen, exact, TEXTS)
    golden = [
        {"text": text, **{name: [round(float(value), 6) for value in values[at]] for name, values in outputs.items()}}
        for at, text in enumerate(chosen)
    ]
    lines = ",\n".join(json.dumps(text, ensure_ascii=False) for text in golden)
    GOLDEN.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def main(
    make: Annotated[bool, "write the golden file anew"] = False, texts: Annotated[int, "compare so many texts"] = TEXTS
) -> None:
    """Compare or make from the command line."""
    if make:
        write_golden()
    print(json.dumps(differences(texts)))


if __name__ == "__main__":
    sys.exit(run_script(main))
