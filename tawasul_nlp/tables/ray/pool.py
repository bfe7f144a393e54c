"""Predict on a Ray cluster, in the order of one process: what ``tawasul classify --engine ray`` does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayActorError, RayTaskError

from tawasul_nlp.tables.errors import WorkerDiedError
from tawasul_nlp.tables.run.engine import Classifier, Engine, ModelFacts, T, in_order, loaded

if TYPE_CHECKING:
    from tawasul_nlp.prediction import Prediction

# A worker that dies, with its node for example, is started again so often, and its batch is done again.
RESTARTS = 3


def engine(
    *, num_cpus: float = 1, num_gpus: float = 0
) -> Callable[[Classifier | Callable[[], Classifier], int], Engine]:
    """Return an engine for :func:`~tawasul_nlp.tables.classify_table` whose workers have so much of a cluster each."""
    return partial(RayPool, num_cpus=num_cpus, num_gpus=num_gpus)


class RayPool:
    """Workers on a Ray cluster that predict; an :class:`~tawasul_nlp.tables.run.engine.Engine`.

    The cluster is the one that this process is connected to; else that of ``RAY_ADDRESS`` or of this machine; else one
    is started on this machine for the time. Ray reports no usage of that one, but as it starts it asks whether the
    machine is in a cloud (the name ``metadata.google.internal`` and the address 169.254.169.254), and it listens on the
    machine's own addresses.

    Parameters
    ----------
    classifier : Classifier or callable
        Pickled and sent to each worker; a function is called there.
    workers : int
    num_cpus, num_gpus : float
        Of each worker.

    Raises
    ------
    ValueError
        If `workers` is below 1, or the cluster has too little.
    WorkerDiedError
        If a worker dies again and again, here or in :meth:`map`. An error of the classifier is raised as it is.
    """

    def __init__(
        self,
        classifier: Classifier | Callable[[], Classifier],
        workers: int,
        *,
        num_cpus: float = 1,
        num_gpus: float = 0,
    ) -> None:
        if workers < 1:
            raise ValueError(f"workers is {workers}, expected at least 1")
        self._ours = not ray.is_initialized()
        self._actors: list[Any] = []
        if self._ours:
            ray.init(include_dashboard=False, log_to_driver=False, logging_level="error")
        try:
            check_cluster(workers, num_cpus, num_gpus)
            kind = ray.remote(_Worker).options(
                num_cpus=num_cpus, num_gpus=num_gpus, max_restarts=RESTARTS, max_task_retries=RESTARTS
            )
            self._actors = [kind.remote(classifier) for _ in range(workers)]
            facts = [_answer(actor.facts.remote()) for actor in self._actors]
        except BaseException:
            self.close()
            raise
        self.facts: ModelFacts = facts[0]

    def map(self, batches: Iterable[tuple[T, list[str]]]) -> Iterator[tuple[T, Sequence[Prediction]]]:
        """Yield every batch's tag with its predictions; see :class:`~tawasul_nlp.tables.run.engine.Engine`."""
        busy: dict[Any, int] = {}

        def send(worker: int, texts: list[str]) -> None:
            busy[self._actors[worker].predict.remote(texts)] = worker

        def answers() -> Iterator[tuple[int, Sequence[Prediction]]]:
            ready, _ = ray.wait(list(busy))
            for reference in ready:
                yield busy.pop(reference), _answer(reference)

        return in_order(batches, range(len(self._actors)), send, answers)

    def close(self) -> None:
        """End the workers, and the cluster if it was started for them."""
        for actor in self._actors:
            ray.kill(actor)
        self._actors = []
        if self._ours:
            ray.shutdown()


class _Worker:
    """Loads when it is first asked, so that an error in loading is reported like any other."""

    def __init__(self, classifier: Classifier | Callable[[], Classifier]) -> None:
        self._given = classifier

    @cached_property
    def _model(self) -> Classifier:
        return loaded(self._given)

    def facts(self) -> ModelFacts:
        return ModelFacts.of(self._model)

    def predict(self, texts: list[str]) -> list[Prediction]:
        return self._model.predict(texts)


def check_cluster(workers: int, num_cpus: float, num_gpus: float) -> None:
    """Raise ValueError if the cluster has too little for so many workers, which would wait for more without a word."""
    found = ray.cluster_resources()
    for name, each in (("CPU", num_cpus), ("GPU", num_gpus)):
        if workers * each > found.get(name, 0):
            raise ValueError(
                f"{workers} workers need {workers * each:g} {name}s, but the Ray cluster has {found.get(name, 0):g}; "
                "ask for fewer, or add nodes first"
            )


def _answer(reference: Any) -> Any:
    try:
        return ray.get(reference)
    except RayActorError as error:
        raise WorkerDiedError(
            f"a Ray worker died {RESTARTS + 1} times at the same work ({str(error).splitlines()[0]}); "
            "its node may be out of memory: use fewer workers"
        ) from error
    except RayTaskError as error:
        raise error.cause from None
