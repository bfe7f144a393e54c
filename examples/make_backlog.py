"""Make ``examples/backlog.csv``: six months of cases that the bundled model never saw, with incidents reported often.

The texts are those of the corpus's stored test split, with their re-reports and hard negatives, and those of
``more_reports.yaml``. Case ids, dates, channels and where a case was sent are invented, reproducibly.

Run ``python -m examples.make_backlog`` from the repository's root.
"""

from __future__ import annotations

import csv
import datetime as dt
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tawasul_nlp.domain import Domain, find_places
from tawasul_nlp.domain.routing import route
from training.splits import DATA, load_splits, read_jsonl

OUT = Path(__file__).parent / "backlog.csv"
MORE = Path(__file__).parent / "more_reports.yaml"
ROWS = 600
SEED = 20260301
FIRST_DAY = dt.date(2026, 1, 4)
DAYS = 182
# All reports of an incident come in on so many days, the first included.
REPORTED_WITHIN = 6
# Of a problem's incidents, one begins in each equal part of the six months, at most this late in it.
EARLY = 0.5
SENT_WRONGLY = 0.08
MUNICIPALITY = "municipality"

# Channel -> registers it is plausible for; an agent's note comes from the call centre, and only from there.
CHANNELS = {
    "call_centre": {"agent_note"},
    "mobile_app": {"msa", "bahraini", "mixed", "arabizi", "english"},
    "website": {"msa", "bahraini", "mixed", "english"},
    "whatsapp": {"bahraini", "mixed", "arabizi"},
    "service_counter": {"msa", "english"},
}


@dataclass(frozen=True, slots=True)
class Report:
    """One text of the backlog; an empty register is not known."""

    text: str
    register: str = ""


@dataclass(frozen=True, slots=True)
class Incident:
    """What the reports of one incident share; a governorate that no text tells is empty."""

    id: str
    topic: str
    governorate: str
    reports: tuple[Report, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the backlog, with what the file leaves out: the incident, and whether the case was sent wrongly."""

    opened: dt.date
    channel: str
    text: str
    routed_to: str
    incident: str
    sent_wrongly: bool


def more_reports() -> dict[str, Any]:
    """Return what ``more_reports.yaml`` holds."""
    held: dict[str, Any] = yaml.safe_load(MORE.read_text(encoding="utf-8"))
    return held


def backlog(rows: int = ROWS) -> list[Row]:
    """Return the backlog's rows, oldest first.

    Parameters
    ----------
    rows : int
        How many; cases of the test split that nobody reported twice fill up what the incidents leave.
    """
    rng = random.Random(SEED)
    more = more_reports()
    known = _known(more["reports"])
    problems = [list(_of_problem(number, problem, known)) for number, problem in enumerate(more["recurring"])]
    taken = {incident.id for problem in problems for incident in problem}
    others = [
        *(incident for incident in known.values() if incident.id not in taken and len(incident.reports) > 1),
        *(known[name] for name in more["danger"]),
        *(
            Incident(f"more-{number}", one["topic"], one["governorate"], _reports(one["texts"]))
            for number, one in enumerate(more["incidents"])
        ),
        *_hard_negatives(known),
    ]
    taken |= {incident.id for incident in others}
    missing = rows - sum(len(one.reports) for one in [*others, *(each for problem in problems for each in problem)])
    others += rng.sample([incident for incident in known.values() if incident.id not in taken], missing)

    begun = [(rng.randrange(DAYS - REPORTED_WITHIN + 1), incident) for incident in others]
    for problem in problems:
        part = DAYS / len(problem)
        begun += [(int(part * (at + EARLY * rng.random())), incident) for at, incident in enumerate(problem)]
    made = [row for day, incident in begun for row in _rows(day, incident, rng)]
    return sorted(made, key=lambda row: row.opened)


def _reports(texts: list[dict[str, str]]) -> tuple[Report, ...]:
    return tuple(Report(text, register) for one in texts for register, text in one.items())


def _known(further: dict[str, list[dict[str, str]]]) -> dict[str, Incident]:
    """Return the incidents of the test split with all their reports."""
    side = load_splits()
    again: dict[str, list[Report]] = defaultdict(list)
    for report in read_jsonl(DATA / "duplicates.jsonl"):
        again[report["group"]].append(Report(report["text"]))
    return {
        case["id"]: Incident(
            case["id"],
            case["topic"],
            case["governorate"],
            (Report(case["text"], case["register"]), *again[case["id"]], *_reports(further.get(case["id"], []))),
        )
        for case in read_jsonl(DATA / "cases.jsonl")
        if side[case["id"]] == "test"
    }


def _hard_negatives(known: dict[str, Incident]) -> Iterator[Incident]:
    """Yield texts that resemble a case of the test split but report another incident of its topic."""
    for other in read_jsonl(DATA / "hard_negatives.jsonl"):
        if other["near"] in known and other["relation"] != "same_place_other_topic":
            where = find_places(other["text"]).governorate or ""
            yield Incident(other["id"], known[other["near"]].topic, where, (Report(other["text"]),))


def _of_problem(number: int, problem: dict[str, Any], known: dict[str, Incident]) -> Iterator[Incident]:
    for at, one in enumerate(problem["incidents"]):
        if isinstance(one, dict):
            yield known[one["case"]]
        else:
            yield Incident(f"problem-{number}-{at}", problem["topic"], problem["governorate"], _reports(one))


def _rows(day: int, incident: Incident, rng: random.Random) -> Iterator[Row]:
    governorate = incident.governorate or _governorate(incident) or rng.choice(sorted(_municipalities()))
    right = route(incident.topic).agency_id
    right = _municipalities()[governorate] if right == MUNICIPALITY else right
    for at, report in enumerate(incident.reports):
        opened = FIRST_DAY + dt.timedelta(days=day + (rng.randrange(REPORTED_WITHIN) if at else 0))
        channels = [name for name, registers in CHANNELS.items() if not report.register or report.register in registers]
        wrongly = rng.random() < SENT_WRONGLY
        sent_to = rng.choice(_mistakes(incident.topic, right, governorate)) if wrongly else right
        name = Domain.bundled().taxonomy.agency(sent_to).name_ar
        yield Row(opened, rng.choice(channels), report.text, name, incident.id, wrongly)


def _governorate(incident: Incident) -> str | None:
    found = (find_places(report.text).governorate for report in incident.reports)
    return next((governorate for governorate in found if governorate), None)


def _municipalities() -> dict[str, str]:
    return dict(Domain.bundled().taxonomy.agency(MUNICIPALITY).members)


def _mistakes(topic: str, right: str, governorate: str) -> list[str]:
    """Return who may get a case by mistake: owners of topics that are easily confused, and other municipalities.

    Where there is none of these, it is the governorate, which people ask for everything.
    """
    taxonomy, members = Domain.bundled().taxonomy, _municipalities()
    near = {taxonomy.agency_group(name) for name in taxonomy.topic(topic).confusable_with}
    wrong = {members[governorate] if agency == MUNICIPALITY else agency for agency in near}
    if right in members.values():
        wrong.update(members.values())
    return sorted(wrong - {right, "none"}) or [f"gov_{governorate}"]


def backlog_rows(rows: int = ROWS) -> list[dict[str, str]]:
    """Return the rows as they stand in the file: ``case_id``, ``opened``, ``channel``, ``text``, ``routed_to``."""
    return [
        {
            "case_id": f"TWS-2026-{number:05d}",
            "opened": row.opened.isoformat(),
            "channel": row.channel,
            "text": row.text,
            "routed_to": row.routed_to,
        }
        for number, row in enumerate(backlog(rows), 1)
    ]


def write(path: Path = OUT) -> int:
    """Write the file and return its number of rows."""
    rows = backlog_rows()
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return len(rows)


def main() -> None:
    """Write the file."""
    print(f"{write()} rows in {OUT}")


if __name__ == "__main__":
    main()
