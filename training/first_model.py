"""The first bundled model, out of the repository's history: the bundled model starts from its layers.

Its files are named by git's hashes of their contents, so whatever git returns under these names is right.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from tawasul_nlp.errors import BackboneError

FILES = {
    "config.json": "565b3d248677a2aae98a183660359e5471c286fd",
    "model.onnx": "1e5949da2c318db3f2d7a6ddea33148c3b1f5d4a",
    "ngram.safetensors": "3a9436e0179c58cb9a1bdac6b0d4b6902341f08b",
    "pairs.json": "4936f0e8c356c5949c54c4ba1e6f1cbf4ba1e367",
    "tokenizer.json": "5d36b3a8098d468ead3fe1f96bc69a31aa9a78a6",
}


def first_model(folder: Path) -> Path:
    """Return ``folder`` with the first model in it.

    Raises
    ------
    BackboneError
        If this is not a clone with its history.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, blob in FILES.items():
        path = folder / name
        if path.exists():
            continue
        try:
            found = subprocess.run(
                ["git", "cat-file", "blob", blob], cwd=Path(__file__).parent, capture_output=True, check=True
            )
        except (OSError, subprocess.CalledProcessError) as error:
            raise BackboneError(
                f"the first model's {name} is not in this repository's history; training it needs git and "
                "a whole clone (git fetch --unshallow)"
            ) from error
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_bytes(found.stdout)
        unfinished.replace(path)
    return folder
