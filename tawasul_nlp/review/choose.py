"""Write the cases of a classified table that are worth a look, for people to correct."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tawasul_nlp.domain import Domain
from tawasul_nlp.review.case_choice import ReviewPlan, choose_cases
from tawasul_nlp.review.label_names import SeenLabels
from tawasul_nlp.review.review_sheet import ReviewCase, ReviewSheet, write_sheet
from tawasul_nlp.review.review_workbook import write_workbook
from tawasul_nlp.tables.classified import open_classified
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.files import check_apart
from tawasul_nlp.tables.io.formats import ReadOptions, output_format
from tawasul_nlp.text import mask_personal_data

_PLAN = ReviewPlan()


@dataclass(frozen=True, slots=True)
class ReviewReport:
    """What was written.

    Attributes
    ----------
    output : Path
    rows : int
        Of the table, those that could be read.
    cases : int
        Of the review.
    reasons : mapping of str to int
        How many of them are ``urgent``, ``unsure`` and ``diverse``.
    """

    output: Path
    rows: int
    cases: int
    reasons: Mapping[str, int]


def write_review(
    source: str | Path,
    output: str | Path,
    plan: ReviewPlan = _PLAN,
    *,
    mask: bool = False,
    overwrite: bool = False,
    text_column: str | Sequence[str] | None = None,
    id_column: str | None = None,
    prefix: str | None = None,
    domain: Domain | None = None,
    read: ReadOptions = ReadOptions(),
    on_progress: Callable[[float], None] | None = None,
) -> ReviewReport:
    """Write the cases of a classified table that are worth a look.

    Each row has the text, the model's answers, and an empty column for the correction of each; in a workbook the labels
    are chosen from lists. A grouped table has two more, for the incident that a case belongs to and for one that its
    incident is to be merged with. :func:`~tawasul_nlp.review.apply_corrections` reads what people wrote.

    Parameters
    ----------
    source : str or Path
        Output of ``tawasul classify``, and of ``tawasul group`` if it has incidents.
    output : str or Path
        ``.xlsx`` (extra ``excel``), ``.csv``, ``.jsonl`` or ``.parquet``.
    plan : ReviewPlan
        How many cases, and why.
    mask : bool
        Whether personal data in texts and ids are masked. What is applied later goes by the table's own texts.
    overwrite : bool
        Whether to replace a file that is there, which people may have filled in.
    text_column : str, sequence of str or None
        None takes the column with the most words.
    id_column : str or None
        None takes one that is named like an id.
    prefix : str or None
        Of the columns that classification added; None tries ``tawasul_`` and none.
    read : ReadOptions
        How the table is read.
    domain : Domain or None
        The pack with the names of labels; None is Bahrain's.
    on_progress : callable, optional
        Called with the share of the work done.

    Raises
    ------
    TableError
        If the table cannot be read, is not classified or has no case to review, or the output cannot be written or is
        there already.

    Examples
    --------
    >>> import tempfile
    >>> from tawasul_nlp.tables.io.write import write_records
    >>> row = {"text": "حفرة في الشارع", "topic": "road_damage", "topic_probability": "0.4", "needs_review": "true"}
    >>> rows = [row | {"review_reasons": "low_topic_confidence"}]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_records(f"{folder}/classified.csv", dict.fromkeys(rows[0], "string"), rows)
    ...     report = write_review(f"{folder}/classified.csv", f"{folder}/review.csv")
    >>> report.cases, dict(report.reasons)
    (1, {'unsure': 1})
    """
    source, output = Path(source), Path(output)
    domain = domain or Domain.bundled()
    write = write_workbook if output_format(output).name == "xlsx" else write_sheet
    check_apart([source], {"review": output})
    if output.exists() and not overwrite:
        raise TableError(f"{output} is there already and may be filled in; write to another file, or use --force")
    table = open_classified(
        source, text_column=text_column, id_column=id_column, prefix=prefix, domain=domain, read=read
    )
    advance = on_progress or (lambda _: None)
    reasons = choose_cases(table, plan, lambda share: advance(share / 2))
    seen, rows, chosen = SeenLabels(table), 0, {}
    for case in table.cases(lambda share: advance(0.5 + share / 2)):
        rows += 1
        seen.add(case)
        if case.row in reasons:
            id = None if case.id is None else _shown(case.id, mask, domain)
            chosen[case.row] = ReviewCase(replace(case, id=id), reasons[case.row], _shown(case.text, mask, domain))
    if not chosen:
        raise TableError(f"{source} has no case to review; ask for others with --unsure, --urgent or --diverse")
    cases = tuple(chosen[row] for row in reasons)
    write(ReviewSheet(cases, seen.names(domain), table.grouped), output)
    return ReviewReport(output, rows, len(cases), Counter(reasons.values()))


def _shown(text: str, mask: bool, domain: Domain) -> str:
    return mask_personal_data(text, domain=domain).text if mask else text
