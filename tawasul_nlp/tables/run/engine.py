"""What predicts a run: in this process, or on a Ray cluster (`tables/ray.py`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from tawasul_nlp.tables.added_columns import TASKS

if TYPE_CHECKING:
    from tawasul_nlp.domain import Domain
    from tawasul_nlp.prediction import Prediction

T = TypeVar("T")


class Classifier(Protocol):
    """Anything that predicts a list of texts; :class:`tawasul_nlp.ComplaintClassifier` does.

    If it has ``labels`` (a mapping by task), its tasks are those; if it has ``multi_label_tasks``, these of them are
    multi-label; if it ``finds_issues``, a case may have several. If it has ``info()`` with a ``model_hash``, a run
    tells models apart by that, else by the name of their class. What else decides the answers is compared where it is
    there: ``runtime`` of ``info()``, ``target_error``, ``domain`` and ``priors``.
    """

    def predict(self, texts: list[str], /) -> list[Prediction]:
        """Return one prediction a text, in the same order."""
        ...


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a run must know of a classifier: what it answers, what tells it from another one, and its domain, if any."""

    tasks: tuple[str, ...]
    identity: Mapping[str, Any]
    domain: Domain | None = None
    multi_label: tuple[str, ...] = ()
    finds_issues: bool = False

    @classmethod
    def of(cls, classifier: Classifier) -> ModelFacts:
        """Ask a classifier."""
        info = getattr(classifier, "info", None)
        model = info() if callable(info) else {}
        domain = getattr(classifier, "domain", None)
        identity = {
            "hash": model.get("model_hash") or type(classifier).__qualname__,
            "target_error": getattr(classifier, "target_error", None),
            "runtime": model.get("runtime"),
            "domain": None if domain is None else domain.fingerprint,
            "priors": dict(getattr(classifier, "priors", {})),
        }
        return cls(
            tasks=tuple(getattr(classifier, "labels", TASKS)),
            identity=identity,
            domain=domain,
            multi_label=tuple(getattr(classifier, "multi_label_tasks", ())),
            finds_issues=bool(getattr(classifier, "finds_issues", False)),
        )


class Engine(Protocol):
    """Predicts batches of texts; close it in the end."""

    facts: ModelFacts

    def map(self, batches: Iterable[tuple[T, list[str]]]) -> Iterator[tuple[T, Sequence[Prediction]]]:
        """Yield every batch's tag with its predictions, in the order of the batches.

        It takes batches as it needs them, and few more than it has finished, so that memory stays bounded.
        """
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


def loaded(classifier: Classifier | Callable[[], Classifier]) -> Classifier:
    """Return the classifier, loaded if a function was given."""
    if hasattr(classifier, "predict") and not isinstance(classifier, type):  # a class is a function that makes one
        return classifier
    return classifier()


class LocalEngine:
    """Predicts in this process; the model's own threads use its cores.

    Parameters
    ----------
    classifier : Classifier or callable
        Or a function that loads one.
    """

    def __init__(self, classifier: Classifier | Callable[[], Classifier]) -> None:
        self._classifier = loaded(classifier)
        self.facts = ModelFacts.of(self._classifier)

    def map(self, batches: Iterable[tuple[T, list[str]]]) -> Iterator[tuple[T, Sequence[Prediction]]]:
        """Yield every batch's tag with its predictions; see :class:`Engine`."""
        for tag, texts in batches:
            yield tag, self._classifier.predict(texts) if texts else []

    def close(self) -> None:
        """Do nothing: the classifier belongs to the caller."""
