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
    from tawasul_nlp._yaml import DataError as DataError
    from tawasul_nlp.classifier import ComplaintClassifier as ComplaintClassifier
    from tawasul_nlp.classifier import explain as explain
    from tawasul_nlp.classifier import predict as predict
    from tawasul_nlp.domain import Domain as Domain
    from tawasul_nlp.domain import Places as Places
    from tawasul_nlp.domain import find_places as find_places
    from tawasul_nlp.duplicates import Additions as Additions
    from tawasul_nlp.duplicates import Assignment as Assignment
    from tawasul_nlp.duplicates import Case as Case
    from tawasul_nlp.duplicates import DuplicateGrouper as DuplicateGrouper
    from tawasul_nlp.duplicates import DuplicateGroups as DuplicateGroups
    from tawasul_nlp.duplicates import DuplicateIndex as DuplicateIndex
    from tawasul_nlp.duplicates import Incident as Incident
    from tawasul_nlp.duplicates import IncidentEvent as IncidentEvent
    from tawasul_nlp.duplicates import Match as Match
    from tawasul_nlp.errors import IndexDiskError as IndexDiskError
    from tawasul_nlp.errors import IndexFormatError as IndexFormatError
    from tawasul_nlp.errors import IndexLockedError as IndexLockedError
    from tawasul_nlp.errors import InvalidTextError as InvalidTextError
    from tawasul_nlp.errors import ModelFormatError as ModelFormatError
    from tawasul_nlp.errors import TawasulError as TawasulError
    from tawasul_nlp.explanation import Explanation as Explanation
    from tawasul_nlp.prediction import LabelScore as LabelScore
    from tawasul_nlp.prediction import Prediction as Prediction
    from tawasul_nlp.report import ReportSummary as ReportSummary
    from tawasul_nlp.report import write_report as write_report
    from tawasul_nlp.tables import BatchReport as BatchReport
    from tawasul_nlp.tables import GroupReport as GroupReport
    from tawasul_nlp.tables import ReadOptions as ReadOptions
    from tawasul_nlp.tables import WriteOptions as WriteOptions
    from tawasul_nlp.tables import classify_table as classify_table
    from tawasul_nlp.tables import group_table as group_table
    from tawasul_nlp.tables.errors import TableError as TableError
    from tawasul_nlp.text import MaskedText as MaskedText
    from tawasul_nlp.text import NormalizedText as NormalizedText
    from tawasul_nlp.text import Normalizer as Normalizer
    from tawasul_nlp.text import mask_personal_data as mask_personal_data
    from tawasul_nlp.text import normalize as normalize

__version__ = "0.2.0"

# Module -> the public names that it has.
_NAMES = {
    "_yaml": "DataError",
    "classifier": "ComplaintClassifier explain predict",
    "domain": "Domain Places find_places",
    "duplicates": "Additions Assignment Case DuplicateGrouper DuplicateGroups DuplicateIndex Incident"
    " IncidentEvent Match",
    "errors": "IndexDiskError IndexFormatError IndexLockedError InvalidTextError ModelFormatError TawasulError",
    "explanation": "Explanation",
    "prediction": "LabelScore Prediction",
    "report": "ReportSummary write_report",
    "tables": "BatchReport GroupReport ReadOptions WriteOptions classify_table group_table",
    "tables.errors": "TableError",
    "text": "MaskedText NormalizedText Normalizer mask_personal_data normalize",
}
_HOMES = {name: f"tawasul_nlp.{module}" for module, names in _NAMES.items() for name in names.split()}

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
