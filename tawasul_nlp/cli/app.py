r"""The ``tawasul`` command.

Exit codes
----------
0
    Done.
1
    Failed (a file, a column, a model); nothing was written.
2
    The command line is wrong.
3
    The table is complete, but some rows could not be read: they are in the rejects file.
130
    Interrupted. The message says what is kept: nothing, an output that was already complete, cases added to an index,
    or the rows of an unfinished run, which the same command resumes.

Every error is one line on standard error. With ``TAWASUL_DEBUG=1`` in the environment the traceback is shown as well.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from tawasul_nlp.cli import calibrate, classify, evaluate, group, index, officers, serve, train
from tawasul_nlp.cli.options import (
    AsJson,
    ClassifierOptions,
    DomainFolder,
    Model,
    Text,
    argument,
    command_family,
    domain_of,
    flag,
    option,
    option_groups,
)
from tawasul_nlp.cli.terminal import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    InterruptedCommand,
    complain,
    lines_or_input,
    print_facts,
    print_json,
    text_or_input,
)

# typer tells of wrong usage by click's exceptions or, since 0.26, by those of its own copy: this is the base of either.
_UsageError: Any = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="tawasul",
    help="Normalise, classify, route and group Arabic citizen complaints of Bahrain. Works without a network.",
    epilog="Exit codes: 0 done; 1 failed, nothing written; 2 wrong usage; 3 done, some rows rejected; 130 interrupted.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def _start(
    context: typer.Context,
    version: Annotated[bool, flag("--version", "Print the version and stop.")] = False,
) -> None:
    if version:
        from tawasul_nlp import __version__

        typer.echo(f"tawasul-nlp {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


app.command(help=classify.__doc__)(classify.classify)


@app.command()
@option_groups
def predict(*, text: Text = None, classifier: ClassifierOptions, as_json: AsJson = False) -> None:
    """Classify one text and print the prediction.

    \b
    Examples:
      tawasul predict "المجاري طافحة عندنا من اسبوع في مجمع 711"
      tawasul predict --json - < letter.txt
    """
    from rich.console import Console

    prediction = classifier.loader()().predict(text_or_input(text))
    if as_json:
        typer.echo(prediction.to_json())
    else:
        Console().print(prediction)


@app.command()
def normalize(
    text: Text = None,
    profile: Annotated[str, option("NAME", "default, matching, arabert or arabert-twitter.")] = "default",
) -> None:
    """Normalise a text, or each line of standard input.

    \b
    Examples:
      tawasul normalize "الشـــارع مظلم جداااا"
      tawasul normalize --profile matching < texts.txt > normalised.txt
    """
    from tawasul_nlp import Normalizer

    normalizer = Normalizer(profile)
    for line in lines_or_input(text):
        typer.echo(normalizer.normalize(line))


@app.command()
def mask(text: Text = None, domain: DomainFolder = None, as_json: AsJson = False) -> None:
    """Mask personal data (CPR and phone numbers, e-mails, IBANs, ...) in a text, or in each line of standard input.

    \b
    Examples:
      tawasul mask "رقمي 39001234 والبطاقة 850101234"
      tawasul mask --json < texts.txt > masked.jsonl
    """
    from tawasul_nlp import mask_personal_data

    pack = domain_of(domain)
    for line in lines_or_input(text):
        masked = mask_personal_data(line, domain=pack)
        if as_json:
            spans = [{"kind": span.kind, "start": span.start, "end": span.end} for span in masked.spans]
            typer.echo(json.dumps({"text": masked.text, "spans": spans}, ensure_ascii=False))
        else:
            typer.echo(masked.text)


@app.command()
def info(model: Model = None, as_json: AsJson = False) -> None:
    """Describe the model: format, tasks and labels, normalisation, hash, runtime, training data.

    \b
    Examples:
      tawasul info
      tawasul info --model ./my-model --json
    """
    from tawasul_nlp import ComplaintClassifier

    facts = ComplaintClassifier.from_pretrained(model).info()
    if as_json:
        print_json(facts)
    else:
        print_facts(_flat(facts))


domain_app = command_family("Packs of data that stand for a country: check.")


@domain_app.command()
def check(folder: Annotated[Path, argument("FOLDER", "Folder of the pack.")]) -> None:
    """Check a pack: that it is sound, and what in it is probably not meant.

    A file that does not follow its schema, or names an id that does not exist, is an error with file and line; the exit
    code is 1. Doubtful are areas without a region, names that two entries share, homographs of no place, agencies that
    get no case, rules that change nothing, and numbers that no phone has; they are warnings, and the exit code is 0.

    \b
    Example:
      tawasul domain check my-country/
    """
    from tawasul_nlp.domain import Domain
    from tawasul_nlp.domain.check import check_pack

    findings = check_pack(folder)
    for finding in findings:
        complain(finding, "warning")
    domain = Domain.load(folder)
    levels = " > ".join(domain.gazetteer.levels.ids)
    typer.echo(
        f"sound, {len(findings)} warnings: {domain.id} {domain.version} ({domain.fingerprint}), levels {levels}, "
        f"{len(domain.gazetteer.governorates):,} of the first and {len(domain.gazetteer.places):,} named places, "
        f"{len(domain.taxonomy.topics):,} topics, {len(domain.taxonomy.agencies):,} agencies"
    )


app.command()(group.group)
app.add_typer(index.index_app, name="index")
app.command(context_settings=serve.ENVIRONMENT)(serve.serve)
app.add_typer(officers.corrections_app, name="corrections")
app.add_typer(domain_app, name="domain")
for command in (
    officers.report,
    officers.review,
    evaluate.evaluate,
    evaluate.compare,
    evaluate.drift,
    calibrate.calibrate,
    train.train,
    train.update,
):
    app.command()(command)


def _flat(facts: dict[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            printed = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
            yield above + str(name), printed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the ``tawasul`` command.

    Parameters
    ----------
    arguments : sequence of str, optional
        The command line without the program's name; ``sys.argv[1:]`` if None.

    Returns
    -------
    int
        The exit code, as listed at the top of this module.

    Examples
    --------
    >>> main(["--version"])
    tawasul-nlp ...
    0
    """
    # Arabic must be printed in any locale, and an invalid byte must not stop a run.
    for stream, encoding, errors in (
        (sys.stdin, "utf-8-sig", "surrogateescape"),
        (sys.stdout, "utf-8", "backslashreplace"),
    ):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=encoding, errors=errors)
    debug = os.environ.get("TAWASUL_DEBUG") == "1"
    try:
        code = app(args=None if arguments is None else list(arguments), prog_name="tawasul", standalone_mode=False)
    except _UsageError as error:
        complain(error.format_message())
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        complain("interrupted; nothing was written")
        return EXIT_INTERRUPTED
    except InterruptedCommand as error:
        complain(str(error))
        return EXIT_INTERRUPTED
    except Exception as error:
        if debug:
            raise
        # Named errors speak for themselves; for others the type is part of the message.
        is_named = isinstance(error, ValueError) or type(error).__module__.startswith("tawasul_nlp.")
        message = str(error) if is_named and str(error) else f"{type(error).__name__}: {error}"
        complain(". ".join([message, *getattr(error, "__notes__", ())]))
        return EXIT_FAILED
    if code == EXIT_INTERRUPTED:
        complain("interrupted; nothing was written")
    return int(code or 0)
