"""Train a model on labels of one's own: data, configuration, fine-tuning, calibration, export, card.

>>> from tawasul_nlp.training import TrainConfig
>>> TrainConfig.preset("arabert").profile
'arabert'
"""

from tawasul_nlp.extras import require

require(
    "train",
    "training",
    "torch",
    "transformers",
    "datasets",
    "sklearn",
    "scipy",
    "cleanlab",
    "onnx",
    "accelerate",
    "optuna",
    "jinja2",
)

from tawasul_nlp.training.config import NgramConfig, Stage, TrainConfig, preset_names
from tawasul_nlp.training.dataset import TrainingData
from tawasul_nlp.training.folds import cross_validate
from tawasul_nlp.training.run import TrainRun, fit, train
from tawasul_nlp.training.search import SearchResult, search
from tawasul_nlp.training.tables import LabelledData
from tawasul_nlp.training.update import UpdateResult, update

__all__ = [
    "LabelledData",
    "NgramConfig",
    "SearchResult",
    "Stage",
    "TrainConfig",
    "TrainRun",
    "TrainingData",
    "UpdateResult",
    "cross_validate",
    "fit",
    "preset_names",
    "search",
    "train",
    "update",
]
