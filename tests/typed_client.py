"""A program by somebody who checks types strictly; ``tests/test_api.py`` has mypy read it, and nothing runs it."""

from __future__ import annotations

from pathlib import Path

import tawasul_nlp as tn
from tawasul_nlp import duplicates, review
from tawasul_nlp.evaluation import EvaluationResult, compare, evaluate
from tawasul_nlp.tables import open_classified
from tawasul_nlp.training import LabelledData, TrainConfig, TrainRun, train


def one_text(text: str) -> str:
    """Clean, mask and read one text."""
    masked: tn.MaskedText = tn.mask_personal_data(tn.normalize(text), domain=tn.Domain.bundled())
    spans: list[tuple[int, int]] = [(span.start, span.end) for span in masked.spans]
    prediction: tn.Prediction = tn.predict(tn.Normalizer("default")(masked.text))
    words: tn.Explanation = tn.explain(text, label=prediction.topic.id)
    places: tn.Places = tn.find_places(text)
    reasons: tuple[str, ...] = prediction.reasons
    return f"{words.top(2)} {places.block} {reasons} {prediction.needs_review} {len(spans)}"


def many_texts(texts: list[str]) -> list[str]:
    """Read many texts in order; what is not text has a name of its own."""
    classifier = tn.ComplaintClassifier.from_pretrained(target_error=0.05, threads=1)
    try:
        predictions: list[tn.Prediction] = classifier.predict(texts, batch_size=32)
    except tn.InvalidTextError as error:
        raise SystemExit(f"text {error.index}: {error}") from error
    width: int = classifier.encode(texts).shape[1] + classifier.encode_incidents(texts).shape[1]
    words: list[str] = classifier.explain(texts[0]).top(3)
    return [f"{each.topic.name_ar} {each.topic.probability:.2f} {width} {words}" for each in predictions]


def incidents(texts: list[str], folder: Path) -> list[str]:
    """Group cases at once, and one by one in an index."""
    grouper = tn.DuplicateGrouper.from_pretrained(threshold=0.5)
    groups: tn.DuplicateGroups = grouper.group([tn.Case(text, id=str(number)) for number, text in enumerate(texts)])
    stricter: tn.DuplicateGroups = groups.rethreshold(0.7)
    score: float = groups.explain(0, 1).score
    problems: duplicates.RecurringProblems = duplicates.recurring_problems(
        stricter, ["water_leak"] * len(texts), [711] * len(texts), ["2026-01-04"] * len(texts)
    )
    with tn.DuplicateIndex.open(folder, grouper) as index:
        assigned: tn.Additions = index.add(texts)
        first: tn.Assignment = assigned[0]
        changes: tuple[tn.IncidentEvent, ...] = assigned.changes + index.close_incident(first.incident_id, by="N. Ali")
        largest: tn.Incident = index.incident(first.incident_id)
        matches: list[tn.Match] = index.query(texts[0], k=3)
    cases: list[tn.Case] = tn.DuplicateIndex.read_cases(folder)
    told = [f"{event.kind} {event.at:%d %B}" for event in changes] + [f"{largest.state} {largest.size}"]
    told += [f"{one.incident_id} {one.is_new}" for one in assigned]
    return [*told, f"{matches} {score} {len(problems)} {len(cases)}"]


def a_table(source: Path, folder: Path) -> int:
    """Classify, group and report."""
    read, write = tn.ReadOptions(encoding="cp1256"), tn.WriteOptions(prefix="ai_", overwrite=False)
    try:
        done: tn.BatchReport = tn.classify_table(
            tn.ComplaintClassifier.from_pretrained(),
            source,
            folder / "c.csv",
            text_column="text",
            read=read,
            write=write,
        )
        grouped: tn.GroupReport = tn.group_table(
            tn.DuplicateGrouper.from_pretrained(), folder / "c.csv", folder / "g.csv", text_column=["subject", "text"]
        )
        page: tn.ReportSummary = tn.write_report(
            open_classified(folder / "g.csv", text_column="text"), folder / "report.html"
        )
    except tn.TableError as error:
        raise SystemExit(str(error)) from error
    return done.rows_written + grouped.rows_read + page.rows


def corrections(folder: Path) -> int:
    """Let people correct a table."""
    table = folder / "g.csv"
    written: review.ReviewReport = review.write_review(table, folder / "review.csv", review.ReviewPlan(unsure=20))
    done: review.CorrectionReport = review.apply_corrections(folder / "review.csv", table, folder / "corrected.csv")
    return written.cases + done.table.rows_written + sum(done.changed.values())


def a_model(cases: Path, held_out: Path, folder: Path) -> str:
    """Train on labels of one's own, and measure."""
    config = TrainConfig.preset("e5", epochs=5).replace(seed=2)
    try:
        run: TrainRun = train(LabelledData(cases, label_columns=["dept"]), config, output=folder)
    except tn.TawasulError as error:
        raise SystemExit(str(error)) from error
    measured: EvaluationResult = evaluate(run.model, held_out, label_columns=["dept"])
    better = compare(measured, evaluate(None, held_out))
    return f"{measured.to_dict()} {better}"
