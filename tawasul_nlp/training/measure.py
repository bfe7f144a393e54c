"""What a finished model reaches on its validation rows, whole and by slices, and the card that says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np

from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.evaluation import EvaluationResult, evaluate
from tawasul_nlp.evaluation.output import TextTable
from tawasul_nlp.evaluation.task_answers import Answers, most_confused, scores_by_label, summariser, task_answers
from tawasul_nlp.evaluation.task_evaluation import review_rates
from tawasul_nlp.model.folder import CARD, ModelConfig
from tawasul_nlp.model.label_sets import join_labels
from tawasul_nlp.model.scorers import ModelOutput
from tawasul_nlp.training.dataset import TrainingData, is_labelled, truth_of
from tawasul_nlp.training.splitting import WholeTable

RARE = 20
_LISTED = 5
_MOST_VALUES = 20
# The target error at which it is told how many answers of a slice are accepted.
_TARGET = "0.05"


def measure(config: ModelConfig, output: ModelOutput, data: TrainingData) -> dict[str, Any]:
    """Measure each task on the validation texts, of which the model makes ``output``.

    Returns
    -------
    dict
        For each task: texts, accuracy, macro_f1, top3, calibration_error, thresholds (share accepted and error among
        them, for each target error), the least error that a threshold promises, slices, weakest labels and confusions.
        For a multi-label task exact_match (which is the accuracy of its slices), micro_f1 and macro_f1, the mean
        labels_a_text, and no confusions.
    """
    lengths = np.array([len(text) for text in data.validation["text"]])
    slices = _slice_values(data)
    measured = {}
    for task, target in truth_of(data.validation, data.labels, data.multi_label).items():
        rows = np.flatnonzero(is_labelled(target))
        settings, truth = config.tasks[task], target[rows]
        if settings.multi_label:
            cells = [join_labels(compress(settings.labels, row == 1)) for row in truth]
        else:
            cells = [settings.labels[label] for label in truth.tolist()]
        answered = task_answers(settings, cells, output.probabilities[task][rows])
        confidence, hits = answered.confidence, answered.hits
        assert confidence is not None
        rare = data.counts[task] < RARE
        parts = {
            **_by_value([slices[row] for row in rows.tolist()] if slices else []),
            **_by_length(lengths[rows]),
            "no duplicate in training": ~data.leaked[rows],
            "may be a duplicate of a training text": data.leaked[rows],
            f"label with fewer than {RARE} training texts": ((truth == 1) & rare).any(1)
            if settings.multi_label
            else rare[truth],
            "longer than the encoder reads": output.truncated[rows],
        }
        accepted = confidence >= settings.thresholds[_TARGET]
        measured[task] = {
            "texts": len(rows),
            **_figures(answered),
            "slices": {name: _slice(hits, accepted, part) for name, part in parts.items() if part.any()},
            "thresholds": {
                name: {"threshold": rate.threshold, "accepted": rate.coverage, "error": rate.error}
                for name, rate in review_rates(confidence, hits, settings.thresholds).items()
            },
            "least_error": settings.curve[0][1] if settings.curve else None,
        }
    return measured


def _slice(hits: np.ndarray, accepted: np.ndarray, part: np.ndarray) -> dict[str, Any]:
    return {
        "texts": int(part.sum()),
        "accuracy": round(float(hits[part].mean()), 4),
        "accepted": round(float(accepted[part].mean()), 4),
        "error": round(float(1 - hits[part & accepted].mean()), 4) if accepted[part].any() else None,
    }


def _slice_values(data: TrainingData) -> list[tuple[str, str]]:
    """Return column and value by which each validation row is measured; nothing if no column was named."""
    column = data.reading.get("columns", {}).get("slice")
    return [(column, value) for value in data.validation["slice"]] if column is not None else []


def evaluate_rows(
    model: ComplaintClassifier, whole: WholeTable, rows: np.ndarray, train: np.ndarray | None = None
) -> EvaluationResult:
    """Measure a model on some rows of a table; rows of one group are drawn together in the bootstrap.

    Parameters
    ----------
    rows : ndarray of bool, shape (n_rows,)
    train : ndarray of bool, shape (n_rows,), optional
        Rows on which baselines are fitted.
    """

    def table(rows: np.ndarray) -> dict[str, list[str]]:
        part = whole.take(rows)
        return {"text": list(part.rows["text"]), "\0group": list(map(str, part.groups.tolist())), **part.labels}

    measured = table(rows)
    tasks = [task for task in whole.data.tasks if task in model.labels and any(measured[task])]
    learned = None if train is None else table(train)
    return evaluate(model, measured, label_columns=tasks, group_column="\0group", train=learned)


def _figures(system: Answers) -> dict[str, Any]:
    """Return the figures of a task; of a multi-label task, of whose answers those are right that are exactly so."""
    figures = summariser(system)(np.ones(len(system.truth)))
    single = system.top3 is not None
    names = ("accuracy", "macro_f1", "top3") if single else ("exact_match", "micro_f1", "macro_f1")
    weakest = [{"label": each.label, "texts": each.n, "f1": each.f1} for each in scores_by_label(system)[:_LISTED]]
    measured = {
        **{name: round(figures[name], 4) for name in names},
        "calibration_error": round(figures["ece"], 4),
        "weakest": weakest,
    }
    if not single:
        return measured | {"labels_a_text": round(float(system.truth.sum(1).mean()), 4)}
    confused = [
        {"label": pair.true, "answered": pair.predicted, "texts": pair.n} for pair in most_confused(system, _LISTED)
    ]
    return measured | {"confusions": confused}


def _by_value(values: Sequence[tuple[str, str]]) -> dict[str, np.ndarray]:
    """Return the rows of each value of a column, the most frequent first."""
    common = [each for each, _ in Counter(values).most_common(_MOST_VALUES)]
    return {
        f"{column}: {value or '(none)'}": np.array([each == (column, value) for each in values])
        for column, value in common
    }


def _by_length(lengths: np.ndarray) -> dict[str, np.ndarray]:
    """Cut at a third and two thirds of the texts, in characters."""
    short, long = (int(value) for value in np.quantile(lengths, (1 / 3, 2 / 3)))
    return {
        f"up to {short} characters": lengths <= short,
        f"{short + 1} to {long} characters": (lengths > short) & (lengths <= long),
        f"more than {long} characters": lengths > long,
    }


_FIGURES = {"accuracy": "accuracy", "macro_f1": "macro F1", "top3": "right in top 3"}
_SET_FIGURES = {"exact_match": "exact match", "micro_f1": "micro F1", "macro_f1": "macro F1"}


def write_card(folder: Path, run: Mapping[str, Any], metrics: Mapping[str, Any]) -> None:
    """Write ``README.md`` into a model folder.

    Parameters
    ----------
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
    lines.append(TextTable(["task", "labels", "fewest training rows", "most"], sizes).markdown())
    if data["findings"]:
        lines.append("What the checks found:\n" + "\n".join(f"- {text}" for text in data["findings"]))
    label_issues = [
        f"{suspected['labels']} labels of {task} (by cross-validated linear models that are right about "
        f"{_percent(suspected['judge_accuracy'])})"
        for task, suspected in metrics.get("label_issues", {}).items()
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
                str(measured["texts"]),
                *(_percent(measured[name]) for name in titles),
                f"{measured['calibration_error']:.3f}",
            ]
            for task, measured in metrics["validation"].items()
            if titles.keys() <= measured.keys()
        ]
        if rows:
            lines.append(TextTable(["task", "texts", *titles.values(), "calibration error"], rows).markdown())
    for task, measured in metrics["validation"].items():
        lines.append(f"*{task}*, by slice:")
        slices = [
            [name, str(part["texts"]), _percent(part["accuracy"]), _percent(part["accepted"])]
            + ["-" if part["error"] is None else _percent(part["error"])]
            for name, part in measured["slices"].items()
        ]
        accuracy = "exact match" if "exact_match" in measured else "accuracy"
        lines.append(TextTable(["slice", "texts", accuracy, "accepted at 5%", "wrong among them"], slices).markdown())
        lines.append("\n".join(_remarks(measured)))
    return "\n\n".join(lines)


def _remarks(measured: Mapping[str, Any]) -> Iterator[str]:
    for target, part in measured["thresholds"].items():
        if part["error"] is None:
            least = measured.get("least_error")
            best = f": no threshold promises less than {_percent(least)}" if least is not None else ""
            yield f"- At a target error of {float(target):.0%}, every text goes to review{best}."
        else:
            yield (
                f"- At a target error of {float(target):.0%}, {_percent(part['accepted'])} of the texts are accepted "
                f"without review, {_percent(part['error'])} of them wrong."
            )
    weakest = ", ".join(
        f"{_inline(part['label'])} ({_percent(part['f1'])}, {part['texts']} texts)" for part in measured["weakest"]
    )
    yield f"- Weakest labels by F1: {weakest}."
    if "labels_a_text" in measured:
        yield (
            f"- A text has {measured['labels_a_text']:.2f} labels on average. An answer is right only if it has "
            "exactly those of the text."
        )
    confused = ", ".join(
        f"{_inline(part['label'])} for {_inline(part['answered'])} ({part['texts']})"
        for part in measured.get("confusions", ())
    )
    if confused:
        yield f"- Most often missed (label, the answer given instead, texts): {confused}."


def _export(metrics: Mapping[str, Any]) -> str:
    rows = []
    for form, distances in metrics["parity"].items():
        for task, part in distances.items():
            if task != "embedding":
                rows.append(
                    [form, task, str(part["texts"]), _percent(part["agreement"]), f"{part['max_difference']:.1e}"]
                    + [f"{part['mean_difference']:.1e}"]
                )
    header = ["ONNX graph", "task", "texts", "same answer", "largest logit difference", "mean"]
    return "**What the export changed**, against the trained float32 network:\n\n" + TextTable(header, rows).markdown()


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


def _inline(text: str) -> str:
    """Return a label as it can stand within a line: one of several lines would end the table or the list."""
    return " ".join(text.split())


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"
