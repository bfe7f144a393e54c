"""Write a model's card from what was measured, and from nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tawasul_nlp.model.folder import CARD

_FIGURES = {"accuracy": "accuracy", "macro_f1": "macro F1", "top3": "right in top 3"}
_SET_FIGURES = {"exact_match": "exact match", "micro_f1": "micro F1", "macro_f1": "macro F1"}


def write_card(folder: Path, run: Mapping[str, Any], metrics: Mapping[str, Any]) -> None:
    """Write ``README.md`` into a model folder.

    Parameters
    ----------
    folder : Path
    run : mapping
        What ``run.json`` of the run holds.
    metrics : mapping
        What its ``metrics.json`` holds.
    """
    parts = [_head(run), _data(run, metrics), _quality(run, metrics), _export(metrics), _use(run, metrics)]
    (folder / CARD).write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _head(run: Mapping[str, Any]) -> str:
    config = run["config"]
    several = _multi_label(run)
    tasks = ", ".join(
        f"{task} ({len(names)} labels{', of which a text has any number' if task in several else ''})"
        for task, names in run["labels"].items()
    )
    second = (
        "an n-gram scorer (linear SVM on hashed character and word n-grams) beside it"
        if config["ngram"]
        else "no n-gram scorer"
    )
    stages = "; then ".join(_stage({**config, **stage}) for stage in config.get("stages") or [{}])
    return (
        f"# Model card: {', '.join(run['labels'])}\n\n"
        f"**What it does.** Reads one Arabic text and gives calibrated probabilities for {tasks}. Load it with "
        "`ComplaintClassifier.from_pretrained(FOLDER)` of tawasul-nlp.\n\n"
        f"**How it was made.** Fine-tuned from `{config['backbone']}` (normalisation `{config['profile']}`, at most "
        f"{config['max_tokens']} tokens): {stages}; {second}. Weights are stored in 8 bits. {_calibration(run)} Every "
        "setting is in the run's `config.yaml`."
    )


def _calibration(run: Mapping[str, Any]) -> str:
    fitted = "Scorer weights, temperatures, powers and thresholds"
    if run.get("before") is None:
        return f"{fitted} were fitted on the validation rows."
    return (
        f"It is an update of the model `{run['before']}`, of which it keeps what the rows say nothing about. {fitted} "
        "are that model's, where a task has the same scorers: it may have learned these rows by heart. Calibrate the "
        "model on rows that are new to it (`tawasul calibrate`)."
    )


def _stage(stage: Mapping[str, Any]) -> str:
    seen = stage["batch_size"] * stage["gradient_accumulation"]
    incidents = f", with {stage['incident_groups']} groups of reports of one incident in each"
    return (
        f"at most {stage['epochs']:g} epochs of batches of {seen}{incidents if stage['incident_groups'] else ''}, "
        f"learning rates {stage['learning_rate']:g} (encoder) and {stage['head_learning_rate']:g} (heads), "
        f"seed {stage['seed']}"
    )


def _data(run: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    data = metrics["data"]
    files = "\n".join(f"- `{Path(name).name}`, SHA-256 `{digest[:16]}…`" for name, digest in run["files"].items())
    lines = [
        f"**Data.** {data['train']} training and {data['validation']} validation rows; {data['left_out']} left out.",
        files,
    ]
    sizes = [
        [task, str(len(counts)), str(min(counts.values())), str(max(counts.values()))]
        for task, counts in data["labels"].items()
    ]
    lines.append(_table(["task", "labels", "fewest training rows", "most"], sizes))
    if data["findings"]:
        lines.append("What the checks found:\n" + "\n".join(f"- {text}" for text in data["findings"]))
    label_issues = [
        f"{found['labels']} labels of {task} (by cross-validated linear models that are right about "
        f"{_percent(found['judge_accuracy'])})"
        for task, found in metrics.get("label_issues", {}).items()
    ]
    if label_issues:
        lines.append(
            f"Probably wrong labels (cleanlab): {', '.join(label_issues)}; unlike all other texts: "
            f"{metrics['outliers']}. The run's `label_issues.csv` and `outliers.csv` list them."
        )
    return "\n\n".join(lines)


def _quality(run: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    chose = "These also chose the epoch, the weights, temperatures and thresholds"
    flattered = "The model before may have learned from these" if run.get("before") is not None else chose
    lines = [
        f"**How good it is**, on the validation rows. {flattered}, so the figures flatter the model somewhat: measure "
        "on other labelled rows before relying on them."
    ]
    for titles in (_FIGURES, _SET_FIGURES):
        rows = [
            [
                task,
                str(found["texts"]),
                *(_percent(found[name]) for name in titles),
                f"{found['calibration_error']:.3f}",
            ]
            for task, found in metrics["validation"].items()
            if titles.keys() <= found.keys()
        ]
        if rows:
            lines.append(_table(["task", "texts", *titles.values(), "calibration error"], rows))
    for task, found in metrics["validation"].items():
        lines.append(f"*{task}*, by slice:")
        slices = [
            [name, str(part["texts"]), _percent(part["accuracy"]), _percent(part["accepted"])]
            + ["-" if part["error"] is None else _percent(part["error"])]
            for name, part in found["slices"].items()
        ]
        accuracy = "exact match" if "exact_match" in found else "accuracy"
        lines.append(_table(["slice", "texts", accuracy, "accepted at 5%", "wrong among them"], slices))
        lines.append("\n".join(_remarks(found)))
    return "\n\n".join(lines)


def _remarks(found: Mapping[str, Any]) -> Iterator[str]:
    for target, part in found["thresholds"].items():
        if part["error"] is None:
            least = found.get("least_error")
            best = f": no threshold promises less than {_percent(least)}" if least is not None else ""
            yield f"- At a target error of {float(target):.0%}, every text goes to review{best}."
        else:
            yield (
                f"- At a target error of {float(target):.0%}, {_percent(part['accepted'])} of the texts are accepted "
                f"without review, {_percent(part['error'])} of them wrong."
            )
    weakest = ", ".join(
        f"{_inline(part['label'])} ({_percent(part['f1'])}, {part['texts']} texts)" for part in found["weakest"]
    )
    yield f"- Weakest labels by F1: {weakest}."
    if "labels_a_text" in found:
        yield (
            f"- A text has {found['labels_a_text']:.2f} labels on average. An answer is right only if it has exactly "
            "those of the text."
        )
    confused = ", ".join(
        f"{_inline(part['label'])} for {_inline(part['answered'])} ({part['texts']})"
        for part in found.get("confusions", ())
    )
    if confused:
        yield f"- Most often missed (label, the answer given instead, texts): {confused}."


def _export(metrics: Mapping[str, Any]) -> str:
    rows = []
    for form, found in metrics["parity"].items():
        for task, part in found.items():
            if task != "embedding":
                rows.append(
                    [form, task, str(part["texts"]), _percent(part["agreement"]), f"{part['max_difference']:.1e}"]
                    + [f"{part['mean_difference']:.1e}"]
                )
    header = ["ONNX graph", "task", "texts", "same answer", "largest logit difference", "mean"]
    return "**What the export changed**, against the trained float32 network:\n\n" + _table(header, rows)


def _use(run: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    data = metrics["data"]
    few = sum(count < 20 for counts in data["labels"].values() for count in counts.values())
    scarce = f"- {few} labels have fewer than 20 training rows.\n" if few else ""
    several = _multi_label(run)
    answered = "with any number of them" if len(several) == len(run["labels"]) else "with one of them"
    return (
        "**Intended use.** Sorting texts like those it was trained on, for people who see the probability and the "
        "reasons for review. Not for deciding anything about a person by itself, and not for emergencies.\n\n"
        "**Limits.**\n"
        f"- It knows its {sum(len(names) for names in run['labels'].values())} labels only, and answers {answered} "
        "whatever the text is about.\n"
        f"{scarce}"
        f"- Thresholds promise the target error only for texts like the {data['validation']} validation rows.\n"
        f"- The encoder reads the first {run['config']['inference_max_tokens'] or run['config']['max_tokens']} tokens."
    )


def _multi_label(run: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(run.get("columns", {}).get("multi_label", ()))


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_inline(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def _inline(text: str) -> str:
    """Return a label as it can stand within a line: one of several lines would end the table or the list."""
    return " ".join(text.split())


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"
