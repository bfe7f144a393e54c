"""Run every measurement that ``make eval`` stands for, one after another so that none disturbs another's times.

Run ``python -m eval``, with ``--data DIR`` also those that need public data from outside the repository. What takes a
night is started by itself: ``eval.scale.backlog --classifier bundled``; so are ``eval.speed.install``, which downloads
two environments, and ``eval.speed.service_soak``, which takes ten minutes.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated

from eval.harness import run_script

# Modules that need nothing but the repository, and those that need a folder of public data.
OWN = (
    "eval.quality.places",
    "eval.quality.domain_pack",
    "eval.quality.rewriting",
    "eval.quality.classification",
    "eval.quality.issues",
    "eval.quality.urgency",
    "eval.quality.priors",
    "eval.quality.duplicates",
    "eval.quality.incidents",
    "eval.quality.example_backlog",
    "eval.speed.peers",
    "eval.speed.service",
    "eval.scale.report",
    "eval.scale.backlog",
)
WITH_DATA = ("eval.quality.normalisation", "eval.quality.duplicates", "eval.scale.duplicates")


def main(data: Annotated[str | None, "folder of public data, for the measurements that need it"] = None) -> int:
    """Run the measurements; return the number of those that failed."""
    commands = [[module] for module in OWN if not (data and module in WITH_DATA)]
    if data:
        commands += [[module, "--data", data] for module in WITH_DATA]
    failed = []
    for command in commands:
        print(f"== {' '.join(command)}", flush=True)
        if subprocess.run([sys.executable, "-m", *command]).returncode != 0:
            failed.append(command[0])
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return len(failed)


if __name__ == "__main__":
    sys.exit(run_script(main))
