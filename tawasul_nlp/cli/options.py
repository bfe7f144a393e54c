"""Options that several commands share, and groups of options.

A command takes a group of options as one argument, a dataclass; :func:`option_groups` gives the command line its
fields.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tawasul_nlp import ComplaintClassifier
    from tawasul_nlp.domain import Domain


def option(metavar: str, description: str, *names: str, **settings: Any) -> Any:
    """Return the declaration of an option with a value; without names it is called as its argument is."""
    return typer.Option(*names, metavar=metavar, help=description, **settings)


def flag(name: str, description: str, *names: str, **settings: Any) -> Any:
    """Return the declaration of an option without a value."""
    return typer.Option(name, *names, help=description, **settings)


def argument(metavar: str, description: str, **settings: Any) -> Any:
    """Return the declaration of an argument."""
    return typer.Argument(metavar=metavar, help=description, **settings)


Text = Annotated[
    str | None, argument("TEXT", "The text; - or nothing for standard input: UTF-8, windows-1256 or UTF-16.")
]
Model = Annotated[str | None, option("MODEL", "Model folder or Hub id [default: the bundled model]")]
DomainFolder = Annotated[
    Path | None, option("FOLDER", "Pack of another country [default: the model's own, or else Bahrain's]", "--domain")
]
AsJson = Annotated[bool, flag("--json", "Print JSON.")]
TargetErrors = Annotated[
    str | None,
    option(
        "SHARE",
        "Acceptable share of errors among answers that need no review: 0.03, by task topic=0.05,agency=0.02 "
        "[default: 0.05]",
        "--target-error",
    ),
]
ReviewOn = Annotated[
    str | None,
    option(
        "TASKS",
        "Tasks of which an unsure answer needs review, as in topic,agency [default: the agency, which is enough to "
        "route; for predict and serve, and without agencies, all but kind and urgency]",
        "--review-on",
    ),
]
Quiet = Annotated[bool, flag("--quiet", "Print no progress and no summary.", "-q")]
_PRIORS = "--priors"
Priors = Annotated[
    list[str] | None,
    option(
        "[TASK=]FILE",
        "How often labels occur here: a table with the columns label and count; of topics or of TASK; may be repeated.",
        _PRIORS,
    ),
]
Frequencies = Mapping[str | None, Mapping[str, float]]
"""By task, None for the topic, or the first task of a model without topics."""


def option_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with the fields of its arguments that are dataclasses as options of the command line.

    All its arguments are keywords, so that a group needs no default, wherever it is among the options.
    """
    signature = inspect.signature(command, eval_str=True)
    groups: dict[str, Any] = {
        name: parameter.annotation
        for name, parameter in signature.parameters.items()
        if is_dataclass(parameter.annotation)
    }
    parameters: list[inspect.Parameter] = []
    for name, parameter in signature.parameters.items():
        if name in groups:
            parameters += inspect.signature(groups[name], eval_str=True).parameters.values()
        else:
            parameters.append(parameter)
    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]

    @functools.wraps(command)
    def run(**values: Any) -> None:
        arguments = {
            name: group(**{field.name: values.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        command(**arguments, **values)

    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def command_family(description: str) -> typer.Typer:
    """Return an application for commands of one subject; without a command it shows its help."""
    family = typer.Typer(help=description, rich_markup_mode=None)

    @family.callback(invoke_without_command=True)
    def start(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())

    return family


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """The model that a command loads, and the country."""

    model: Model = None
    domain: DomainFolder = None


@dataclass(frozen=True, slots=True)
class ClassifierOptions:
    """The classifier that a command loads."""

    model: Model = None
    domain: DomainFolder = None
    target_error: TargetErrors = None
    review_on: ReviewOn = None
    priors: Priors = None

    def loader(self) -> Callable[[], ComplaintClassifier]:
        """Return what loads the classifier, when all that was typed is known to be right."""
        priors, load = frequencies(self.priors), self.unweighted()
        return lambda: weighted(load(), priors)

    def for_tables(self) -> Callable[[], ComplaintClassifier]:
        """Return the same for a table, where only an unsure agency needs review unless the options say otherwise."""
        load, routing = self.loader(), replace(self, review_on="agency").loader()

        def loaded() -> ComplaintClassifier:
            classifier = load()
            return routing() if self.review_on is None and "agency" in classifier.review_on else classifier

        return loaded

    def unweighted(self) -> Callable[[], ComplaintClassifier]:
        """Return what loads the classifier without the frequencies."""
        target, domain = target_error(self.target_error), domain_of(self.domain)
        tasks = None if self.review_on is None else [task.strip() for task in self.review_on.split(",")]

        def load() -> ComplaintClassifier:
            from tawasul_nlp import ComplaintClassifier

            return ComplaintClassifier.from_pretrained(self.model, target_error=target, domain=domain, review_on=tasks)

        return load


def domain_of(folder: Path | None) -> Domain | None:
    """Return the pack that an option names."""
    from tawasul_nlp.domain import Domain

    return None if folder is None else Domain.load(folder)


def target_error(text: str | None) -> float | dict[str, float]:
    """Return the target error that an option names, or that of each task.

    >>> target_error("0.03"), target_error("topic=0.05, agency=0.02"), target_error(None)
    (0.03, {'topic': 0.05, 'agency': 0.02}, 0.05)
    """
    if text is None or "=" not in text:
        text = f"={text or 0.05}"
    errors = named_shares(text, "--target-error", "0.03, or topic=0.05,agency=0.02")
    return errors[""] if set(errors) == {""} else errors


def named_shares(text: str, option: str, expected: str) -> dict[str, float]:
    """Return the shares in an option's ``NAME=SHARE,...`` by their names, each of which may stand there once."""
    shares: dict[str, float] = {}
    for item in text.split(","):
        name, _, share = item.rpartition("=")
        try:
            if name.strip() in shares:
                raise ValueError
            shares[name.strip()] = float(share)
        except ValueError:
            got = text.removeprefix("=")
            raise typer.BadParameter(f"got {got!r}, expected {expected}", param_hint=option) from None
    return shares


def check_model_apart(model: str | None, **outputs: str | Path | None) -> None:
    """Raise :class:`~tawasul_nlp.tables.errors.TableError` if an output is a file of the model in use."""
    from tawasul_nlp.tables.io.files import check_apart

    if model is not None and Path(model).is_dir():
        written = {name: Path(path) for name, path in outputs.items() if path is not None}
        check_apart(Path(model).iterdir(), written)


def frequencies(options: Sequence[str] | None) -> dict[str | None, Mapping[str, float]]:
    """Read the files that the options name.

    Raises
    ------
    typer.BadParameter
        If a file is missing or does not hold frequencies, or a task is named twice.
    """
    by_task: dict[str | None, Mapping[str, float]] = {}
    for item in options or ():
        name, equals, path = item.partition("=")
        task, file = (None, item) if Path(item).is_file() or not equals else (name.strip(), path)
        if task in by_task:
            raise typer.BadParameter(f"names {task or 'the topic'} twice: {item}", param_hint=_PRIORS)
        by_task[task] = _read(Path(file))
    return by_task


def _read(path: Path) -> Mapping[str, float]:
    from tawasul_nlp.tables.errors import MissingColumnError
    from tawasul_nlp.tables.labelled import open_labelled

    def refused(problem: str) -> typer.BadParameter:
        return typer.BadParameter(f"{path} {problem}", param_hint=_PRIORS)

    if not path.is_file():
        raise refused("is no file")
    try:
        source = open_labelled(path, "label")
        source.check_columns(["count"], _PRIORS)
    except MissingColumnError as error:
        raise refused(f"has the columns {', '.join(error.columns)}, expected label and count") from None
    table, counts = source.read(["count"]), dict[str, float]()
    for label, count in zip(map(str.strip, table.texts), table.columns["count"], strict=True):
        if label in counts:
            raise refused("has a label twice; add its counts up")
        try:
            counts[label] = float(count)
        except ValueError:
            raise refused(f"has the count {count!r:.40} for {label}, expected a number") from None
    return counts


def weighted(classifier: ComplaintClassifier, priors: Frequencies) -> ComplaintClassifier:
    """Return a classifier with frequencies; it shares the other's weights."""
    for task, counts in priors.items():
        classifier = classifier.with_priors(counts, task)
    return classifier
