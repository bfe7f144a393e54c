"""The card of a model: how it was made, from what, how good it is on its validation rows, and what it is for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from tawasul_nlp.evaluation import EvaluationResult
from tawasul_nlp.evaluation.output import per_cent
from tawasul_nlp.evaluation.result import markdown
from tawasul_nlp.model.folder import CARD, read_config
from tawasul_nlp.training.config import TrainConfig
from tawasul_nlp.training.dataset import TrainingData

_RARE = 20


def write_card(
    folder: Path, data: TrainingData, config: TrainConfig, metrics: Mapping[str, Any], evaluation: EvaluationResult
) -> None:
    """Write ``README.md`` into a model folder, as ``card.md`` has it.

    Parameters
    ----------
    metrics : mapping
        What ``metrics.json`` of the run holds.
    evaluation : EvaluationResult
        On the validation rows.
    """
    pages = Environment(undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    pages.filters.update(per_cent=per_cent, file_name=lambda path: Path(path).name)
    template = pages.from_string(Path(__file__).with_name("card.md").read_text(encoding="utf-8"))
    card = template.render(
        data=data,
        config=config,
        metrics={"label_issues": {}, **metrics},
        figures=markdown(evaluation),
        before=None if data.before is None else read_config(data.before).model_hash,
        least=_RARE,
        rare=sum(int((counts < _RARE).sum()) for counts in data.counts.values()),
    )
    (folder / CARD).write_text(card, encoding="utf-8")
