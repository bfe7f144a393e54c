"""Fuzz one target under atheris: ``python -m tests.fuzz TARGET [seconds]`` (extra ``fuzz``).

Atheris follows which branches an input takes and looks for inputs that take new ones. It ends after the seconds, or at
the first crash, whose input it writes to a file in the current folder.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["tawasul_nlp"]):
    from tests.fuzz.targets import TARGETS, seeds


def main() -> None:
    """Run the target that the command line names."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: python -m tests.fuzz TARGET [seconds]; the targets are {', '.join(TARGETS)}")
    name = sys.argv[1]
    seconds = sys.argv[2] if len(sys.argv) > 2 else "60"
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds(name)):
            (Path(corpus) / str(number)).write_bytes(seed)
        options = [f"-max_total_time={seconds}", "-max_len=20000", "-timeout=20", corpus]
        atheris.Setup([sys.argv[0], *options], TARGETS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
