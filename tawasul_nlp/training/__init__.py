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
    "jinja2",
)

from tawasul_nlp.training.config import TrainConfig
from tawasul_nlp.training.run import TrainRun, train
from tawasul_nlp.training.tables import LabelledData
from tawasul_nlp.training.update import UpdateResult, update

__all__ = ["LabelledData", "TrainConfig", "TrainRun", "UpdateResult", "train", "update"]
