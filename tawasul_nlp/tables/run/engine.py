"""What predicts a run: the protocol of engines, and what they share; see `local_engines.py` and `ray/pool.py`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from tawasul_nlp._system import cores
from tawasul_nlp.tables.added_columns import TASKS

if TYPE_CHECKING:
    from tawasul_nlp.domain import Domain
    from tawasul_nlp.prediction import Prediction

T = TypeVar("T")
W = TypeVar("W")  # a worker, whatever stands for it
# So many batches a worker are under way or wait for an earlier one.
_AHEAD = 2


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
        known = info() if callable(info) else {}
        domain = getattr(classifier, "domain", None)
        identity = {
            "hash": known.get("model_hash") or type(classifier).__qualname__,
            "target_error": getattr(classifier, "target_error", None),
            "runtime": known.get("runtime"),
            "domain": None if domain is None else domain.fingerprint,
            "priors": dict(getattr(classifier, "priors", {})),
        }
        return cls(
            tuple(getattr(classifier, "labels", TASKS)),
            identity,
            domain,
            tuple(getattr(classifier, "multi_label_tasks", ())),
            bool(getattr(classifier, "finds_issues", False)),
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


def in_order(
    batches: Iterable[tuple[T, list[str]]],
    workers: Iterable[W],
    send: Callable[[W, list[str]], None],
    answers: Callable[[], Iterable[tuple[W, Sequence[Prediction]]]],
) -> Iterator[tuple[T, Sequence[Prediction]]]:
    """Share batches out among workers and yield them as :meth:`Engine.map` does; one without texts goes to none.

    Parameters
    ----------
    batches : iterable of (tag, texts)
    workers : iterable
        Each gets a batch when it is idle.
    send : callable
        Gives a worker its batch.
    answers : callable
        Waits until a worker is done, and returns those that are, with their predictions.
    """
    source = iter(batches)
    idle = deque(workers)
    ahead = _AHEAD * len(idle)
    order: deque[tuple[int, T]] = deque()
    done: dict[int, Sequence[Prediction]] = {}
    busy: dict[W, int] = {}
    number = 0
    more = True
    while True:
        while more and len(order) < ahead and idle:
            batch = next(source, None)
            if batch is None:
                more = False
                break
            tag, texts = batch
            order.append((number, tag))
            if texts:
                worker = idle.popleft()
                send(worker, texts)
                busy[worker] = number
            else:
                done[number] = []
            number += 1
        if not order:
            return
        while order and order[0][0] in done:
            first, tag = order.popleft()
            yield tag, done.pop(first)
        for worker, predictions in answers() if busy else ():
            done[busy.pop(worker)] = predictions
            idle.append(worker)


def loaded(classifier: Classifier | Callable[[], Classifier]) -> Classifier:
    """Return the classifier, loaded if a function was given."""
    if hasattr(classifier, "predict") and not isinstance(classifier, type):  # a class is a function that makes one
        return classifier
    return classifier()


def threads_each(workers: int) -> int:
    """Return how many threads each of several workers should have, so that they share the processor's cores.

    >>> threads_each(1_000_000)
    1
    """
    return max(1, cores() // workers)
