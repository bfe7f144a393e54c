"""Normalise, classify and route Arabic citizen complaints of Bahrain.

The names below are loaded when they are first used (PEP 562), so that ``import tawasul_nlp`` costs no more than this
file: a program that only normalises text never loads the model's runtime.

>>> import tawasul_nlp
>>> tawasul_nlp.normalize("الشـــارع")
'الشارع'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tawasul_nlp.classifier import ComplaintClassifier as ComplaintClassifier
    from tawasul_nlp.classifier import predict as predict
    from tawasul_nlp.domain import DataError as DataError
    from tawasul_nlp.domain import Taxonomy as Taxonomy
    from tawasul_nlp.domain import UnknownIdError as UnknownIdError
    from tawasul_nlp.domain import find_places as find_places
    from tawasul_nlp.duplicates import DuplicateGrouper as DuplicateGrouper
    from tawasul_nlp.duplicates import DuplicateIndex as DuplicateIndex
    from tawasul_nlp.errors import BackboneError as BackboneError
    from tawasul_nlp.errors import DifferentDataError as DifferentDataError
    from tawasul_nlp.errors import IndexDiskError as IndexDiskError
    from tawasul_nlp.errors import IndexFormatError as IndexFormatError
    from tawasul_nlp.errors import IndexLockedError as IndexLockedError
    from tawasul_nlp.errors import InvalidTextError as InvalidTextError
    from tawasul_nlp.errors import MissingExtraError as MissingExtraError
    from tawasul_nlp.errors import ModelFormatError as ModelFormatError
    from tawasul_nlp.errors import TawasulError as TawasulError
    from tawasul_nlp.prediction import Prediction as Prediction
    from tawasul_nlp.report import write_report as write_report
    from tawasul_nlp.tables import ReadOptions as ReadOptions
    from tawasul_nlp.tables import WriteOptions as WriteOptions
    from tawasul_nlp.tables import classify_table as classify_table
    from tawasul_nlp.tables import group_table as group_table
    from tawasul_nlp.tables.errors import InputChangedError as InputChangedError
    from tawasul_nlp.tables.errors import MissingColumnError as MissingColumnError
    from tawasul_nlp.tables.errors import OversizedTableError as OversizedTableError
    from tawasul_nlp.tables.errors import RowsLostError as RowsLostError
    from tawasul_nlp.tables.errors import TableError as TableError
    from tawasul_nlp.tables.errors import WorkerDiedError as WorkerDiedError
    from tawasul_nlp.text import Normalizer as Normalizer
    from tawasul_nlp.text import mask_personal_data as mask_personal_data
    from tawasul_nlp.text import normalize as normalize

__version__ = "0.2.0"

# Module -> the public names that it defines.
_NAMES = {
    "tawasul_nlp.classifier": ("ComplaintClassifier", "predict"),
    "tawasul_nlp.domain": ("DataError", "Taxonomy", "UnknownIdError", "find_places"),
    "tawasul_nlp.duplicates": ("DuplicateGrouper", "DuplicateIndex"),
    "tawasul_nlp.errors": (
        "BackboneError",
        "DifferentDataError",
        "IndexDiskError",
        "IndexFormatError",
        "IndexLockedError",
        "InvalidTextError",
        "MissingExtraError",
        "ModelFormatError",
        "TawasulError",
    ),
    "tawasul_nlp.prediction": ("Prediction",),
    "tawasul_nlp.report": ("write_report",),
    "tawasul_nlp.tables": ("ReadOptions", "WriteOptions", "classify_table", "group_table"),
    "tawasul_nlp.tables.errors": (
        "InputChangedError",
        "MissingColumnError",
        "OversizedTableError",
        "RowsLostError",
        "TableError",
        "WorkerDiedError",
    ),
    "tawasul_nlp.text": ("Normalizer", "mask_personal_data", "normalize"),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'tawasul_nlp' has no attribute {name!r}; it has {', '.join(sorted(_HOMES))}")
    from importlib import import_module

    value = getattr(import_module(home), name)
    globals()[name] = value  # the next access does not come here
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
