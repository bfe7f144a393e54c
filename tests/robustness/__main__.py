"""Attack the project's promises and count the trials in which one did not hold.

Each module beside this one attacks a part of the project: its ``run(trials, seed)`` yields an ``Outcome`` for each
attack. Run ``python -m tests.robustness`` (writes ``eval/results/robustness.json`` and ``robustness.md``), or name the
parts to attack: ``python -m tests.robustness index_damage --trials 50``.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from eval.harness import RESULTS, provenance, publish_page

PARTS = (
    *("model_folder", "silence", "index_damage", "index_kills", "masks", "domain_packs"),
    *("changed_inputs", "classify_kills", "small_tables", "tables"),
)
TRIALS = 200
SEED = 20261130


def markdown(result: dict[str, Any]) -> str:
    """Render the counts as a table."""
    lines = [
        f"# Attacks on the promises\n\n{result['date']}, {result['machine']}, `{result['command']}` "
        f"(seed {result['seed']}).\n",
        "| promise | attack | trials | failures | |",
        "|---|---|--:|--:|---|",
    ]
    for row in result["attacks"]:
        lines.append("| {promise} | {attack} | {trials:,} | {failures} | {note} |".format(**row))
    trials, failures = (sum(row[name] for row in result["attacks"]) for name in ("trials", "failures"))
    return "\n".join([*lines, f"| | together | {trials:,} | {failures} | |"]) + "\n"


def main() -> int:
    """Attack from the command line; return 1 if a promise did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--trials", type=int, default=TRIALS, help=f"of each random attack (default {TRIALS})")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--out", type=Path, help="prefix of the files (default eval/results/robustness, for all parts)")
    arguments = parser.parse_args()
    attacks = []
    for part in arguments.parts or PARTS:
        for outcome in importlib.import_module(f"tests.robustness.{part}").run(arguments.trials, arguments.seed):
            attacks.append({"part": part, **asdict(outcome)})
            print(f"{part}: {outcome.attack}: {outcome.failures} of {outcome.trials}", file=sys.stderr, flush=True)
    command = provenance("python -m tests.robustness", *sys.argv[1:])
    result = {**command, "seed": arguments.seed, "attacks": attacks}
    if arguments.out or not arguments.parts:
        publish_page(result, markdown(result), arguments.out or RESULTS / "robustness")
    else:
        print(markdown(result))
    return int(any(row["failures"] for row in attacks))


if __name__ == "__main__":
    sys.exit(main())
