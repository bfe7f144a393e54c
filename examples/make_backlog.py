"""Make ``examples/backlog.csv`` from the stored test split: texts that the bundled model never saw in training.

Case ids, dates and channels are invented, reproducibly; texts are the corpus's own, which are synthetic too.

Run ``python -m examples.make_backlog`` from the repository's root.
"""

from __future__ import annotations

import csv
import datetime as dt
import random
from pathlib import Path

from training.splits import DATA, load_splits, read_jsonl

OUT = Path(__file__).parent / "backlog.csv"
ROWS = 360
SEED = 20260301
FIRST_DAY = dt.date(2026, 1, 4)
DAYS = 56

# Channel -> registers it is plausible for; an agent's note comes from the call centre, and only from there.
CHANNELS = {
    "call_centre": {"agent_note"},
    "mobile_app": {"msa", "bahraini", "mixed", "arabizi", "english"},
    "website": {"msa", "bahraini", "mixed", "english"},
    "whatsapp": {"bahraini", "mixed", "arabizi"},
    "service_counter": {"msa", "english"},
}


def backlog_rows(rows: int = ROWS) -> list[dict[str, str]]:
    """Return the backlog's rows, oldest first.

    Parameters
    ----------
    rows : int
        How many; the test split must have as many cases.

    Returns
    -------
    list of dict
        ``case_id``, ``opened`` (ISO date), ``channel``, ``text``.
    """
    side = load_splits()
    rng = random.Random(SEED)
    cases = rng.sample([case for case in read_jsonl(DATA / "cases.jsonl") if side[case["id"]] == "test"], rows)
    days = sorted(rng.randrange(DAYS) for _ in cases)
    return [
        {
            "case_id": f"TWS-2026-{number:05d}",
            "opened": (FIRST_DAY + dt.timedelta(days=day)).isoformat(),
            "channel": rng.choice([name for name, registers in CHANNELS.items() if case["register"] in registers]),
            "text": case["text"],
        }
        for number, (day, case) in enumerate(zip(days, cases, strict=True), 1)
    ]


def main() -> None:
    """Write the file."""
    rows = backlog_rows()
    with OUT.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"{len(rows)} rows in {OUT}")


if __name__ == "__main__":
    main()
