"""A review as JSON that Label Studio or Argilla imports, and what people answered there.

Label Studio imports tasks with ``data`` and ``predictions`` and exports them with ``annotations``
(https://labelstud.io/guide/predictions, https://labelstud.io/guide/task_format). Argilla's
``Dataset.records.from_json`` takes records with ``fields``, ``metadata`` and ``suggestions``, and ``to_json`` writes
them with ``responses`` (https://docs.argilla.io/latest/reference/argilla/records/records).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from tawasul_nlp.model.label_sets import join_labels
from tawasul_nlp.review.review_sheet import CASE, INCIDENT, MERGE, Answer, ReviewCase, ReviewSheet
from tawasul_nlp.tables.errors import TableError, disk_errors
from tawasul_nlp.tables.io.output_file import PendingFile

_AGENT = "tawasul-nlp"


def write_label_studio(sheet: ReviewSheet, path: Path) -> None:
    """Write the tasks, and beside them the labelling interface as ``OUT.config.xml``."""
    _write(path.with_name(path.name + ".config.xml"), _interface(sheet))
    _write(path, json.dumps([_task(sheet, one) for one in sheet.cases], ensure_ascii=False, indent=1))


def write_argilla(sheet: ReviewSheet, path: Path) -> None:
    """Write the records; questions have the names of tasks."""
    _write(path, json.dumps([_record(sheet, one) for one in sheet.cases], ensure_ascii=False, indent=1))


WRITERS: Mapping[str, Callable[[ReviewSheet, Path], None]] = {
    "label-studio": write_label_studio,
    "argilla": write_argilla,
}
"""How a review is written for each tool."""


def read_export(path: Path) -> list[Answer]:
    """Read what people answered in either tool.

    Raises
    ------
    TableError
        If the file is no export of theirs, or two people answered differently.
    """
    try:
        items = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise TableError(f"{path} cannot be read as JSON: {type(error).__name__}") from error
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise TableError(f"{path} is no list of tasks or records; export JSON from Label Studio, or to_json of Argilla")
    try:
        return [answer for number, item in enumerate(items, 1) for answer in _answers(f"item {number}", item)]
    except (KeyError, TypeError, AttributeError) as error:
        raise TableError(f"{path} is no export of Label Studio or Argilla ({error!r}); export it anew") from error


def _write(path: Path, text: str) -> None:
    with disk_errors(), PendingFile(path) as pending:
        pending.path.write_text(text + "\n", encoding="utf-8")
        pending.publish()


# -- Label Studio ----------------------------------------------------------------------------------------------------


def _interface(sheet: ReviewSheet) -> str:
    lines = ["<View>", '  <Text name="text" value="$text"/>']
    for task, names in sheet.names.items():
        choice = "multiple" if task in sheet.multi_label else "single-radio"
        lines.append(f"  <Header value={quoteattr(task)}/>")
        lines.append(f'  <Choices name={quoteattr(task)} toName="text" choice="{choice}" showInline="true">')
        lines += [f"    <Choice value={quoteattr(names.name(id))}/>" for id in names.ids]
        lines.append("  </Choices>")
    for name in (INCIDENT, MERGE) if sheet.grouped else ():
        lines.append(f'  <TextArea name="{name}" toName="text" placeholder="{name}" maxSubmissions="1"/>')
    return "\n".join([*lines, "</View>"])


def _task(sheet: ReviewSheet, one: ReviewCase) -> dict[str, Any]:
    case = one.case
    data = {CASE: case.key, "id": case.id, "text": one.text, "reason": one.reason}
    result = [
        {
            "id": f"{case.key}-{task}",
            "type": "choices",
            "from_name": task,
            "to_name": "text",
            "value": {"choices": sheet.names_in(task, case.labels[task])},
        }
        for task in sheet.names
    ]
    score = min(case.probabilities.values(), default=0.0)
    incident = {"incident": case.incident} if sheet.grouped else {}
    return {"data": data | incident, "predictions": [{"model_version": _AGENT, "score": score, "result": result}]}


def _annotated(where: str, item: Mapping[str, Any]) -> Iterator[Answer]:
    """Yield the latest annotation of a task, if it was not cancelled."""
    done = [each for each in item["annotations"] if not each.get("was_cancelled")]
    if not done:
        return
    written: dict[str, str] = {}
    for part in max(done, key=lambda each: str(each.get("updated_at") or ""))["result"]:
        if part["type"] == "choices":
            written[part["from_name"]] = join_labels(sorted(part["value"]["choices"]))
        elif part["type"] == "textarea":
            text = part["value"]["text"]
            written[part["from_name"]] = (text if isinstance(text, str) else " ".join(text)).strip()
    incident, merge_with = written.pop(INCIDENT, ""), written.pop(MERGE, "")
    yield Answer(where, item["data"][CASE], written, checked=True, incident=incident, merge_with=merge_with)


# -- Argilla ---------------------------------------------------------------------------------------------------------


def _record(sheet: ReviewSheet, one: ReviewCase) -> dict[str, Any]:
    case = one.case
    suggestions = {}
    for task in sheet.names:
        names = sheet.names_in(task, case.labels[task])
        if names:
            value = names if task in sheet.multi_label else names[0]
            suggestions[task] = {"value": value, "score": case.probabilities[task], "agent": _AGENT}
    metadata = {"reason": one.reason, **({"incident": case.incident} if case.incident is not None else {})}
    return {"id": case.key, "fields": {"text": one.text}, "metadata": metadata, "suggestions": suggestions}


def _responded(where: str, item: Mapping[str, Any]) -> Iterator[Answer]:
    """Yield what all who responded to a record agree on."""
    written = {}
    for question, responses in item["responses"].items():
        values = {_cell(response["value"]) for response in responses}
        if len(values) > 1:
            raise TableError(
                f"{where}: {len(responses)} people answered {question!r} differently; settle it in Argilla"
            )
        if values:
            written[question] = values.pop()
    if written:
        incident, merge_with = written.pop(INCIDENT, ""), written.pop(MERGE, "")
        yield Answer(where, item["id"], written, checked=True, incident=incident, merge_with=merge_with)


def _cell(value: Any) -> str:
    return join_labels(sorted(value)) if isinstance(value, list) else str(value)


def _answers(where: str, item: Mapping[str, Any]) -> Iterator[Answer]:
    return _annotated(where, item) if "annotations" in item else _responded(where, item)
