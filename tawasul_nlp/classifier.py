"""``ComplaintClassifier``: from a citizen's text to kind, topic and agency in one call."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from tawasul_nlp._system import logger
from tawasul_nlp.answers import Answers, learned_domain
from tawasul_nlp.domain import Domain
from tawasul_nlp.errors import ModelFormatError, at_least_one, checked_texts
from tawasul_nlp.model.combine import deciding_ratios, deciding_task, log_ratios
from tawasul_nlp.model.folder import ModelConfig, read_config
from tawasul_nlp.model.hub import copy_model, find_model
from tawasul_nlp.model.runtime import loading_lock
from tawasul_nlp.model.scorers import ModelOutput, ModelScorers, choose_runtime, joined_rows
from tawasul_nlp.model.thresholds import DEFAULT_TARGET, TargetError, targets_of, thresholds_at, unreached
from tawasul_nlp.prediction import Prediction

if TYPE_CHECKING:
    from tawasul_nlp.explanation import Explanation


@dataclass(frozen=True, slots=True)
class _Options:
    # The arguments of `from_pretrained`: with them a process pool makes its own copy of a classifier.
    target_error: TargetError
    threads: int | None
    domain: Domain | None
    device: str | None
    runtime: str | None
    review_on: tuple[str, ...] | None


class ComplaintClassifier:
    """Classify citizens' cases by every task of a model, and route them.

    Make one with :meth:`from_pretrained`. An instance may be used from many threads at once, survives a fork, and
    can be pickled (it carries its folder's path, not the weights).

    Examples
    --------
    >>> clf = ComplaintClassifier.from_pretrained()
    >>> p = clf.predict("المجاري طافحة عندنا من اسبوع في مجمع 711 والريحة ما تنطاق")
    >>> p.topic.id, p.agency.id, p.kind.id
    ('sewage_overflow', 'works', 'complaint')
    """

    def __init__(self, folder: Path, options: _Options) -> None:
        began = time.perf_counter()
        domain, threads, errors = options.domain, options.threads, options.target_error
        if domain is not None and not isinstance(domain, Domain):
            raise TypeError(f"domain is a {type(domain).__name__}, expected a Domain; read it with Domain.load")
        # Weights are read on first use: the working folder may be another one by then.
        self.folder = folder = folder.absolute()
        self.config: ModelConfig = read_config(folder)
        # A copy that can be pickled and written as JSON, whatever mapping it was.
        self.target_error = dict(errors) if isinstance(errors, Mapping) else errors
        threads = None if threads is None else at_least_one("threads", threads)
        self._options = replace(options, target_error=self.target_error, threads=threads)
        learned = learned_domain(folder, self.config)
        self.domain = domain or learned
        self.taxonomy = self.domain.taxonomy
        self._targets = targets_of(self.config.tasks, self.target_error)
        self._warned: set[str] = set()
        self._thresholds = self._thresholds_for(self._targets)
        runtime = choose_runtime(folder, self.config, threads=threads, device=options.device, runtime=options.runtime)
        self._scorers = ModelScorers(folder, self.config, runtime)
        self._answers = Answers(
            self.config, self.domain, learned, complete=domain is not None, review_on=options.review_on
        )
        self.priors: Mapping[str, Mapping[str, float]] = {}
        self._ratios: Mapping[str, np.ndarray] = {}
        seconds = time.perf_counter() - began
        logger.info("%s: model %s loaded in %.2f s, for %s", folder, self.config.model_hash, seconds, runtime.name)

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path | None = None,
        *,
        target_error: TargetError = DEFAULT_TARGET,
        threads: int | None = None,
        domain: Domain | None = None,
        device: str | None = None,
        runtime: str | None = None,
        review_on: str | Collection[str] | None = None,
    ) -> ComplaintClassifier:
        """Load a model.

        Parameters
        ----------
        name : str, Path or None
            None for the bundled model, a model folder, or the id of one on the Hugging Face Hub (``org/name``).
        target_error : float, or mapping of str to float
            Acceptable share of errors among answers without review, of all tasks or of each (those not named: 0.05).
        threads : int or None
            CPU threads for one call, each of which may take 65 MB; None for what the environment variable
            ``TAWASUL_THREADS`` says, or else for the cores that affinity and the container's CPU quota grant.
        domain : Domain or None
            Places, and names and routing of all of the model's labels; None for the folder's own, or else Bahrain's.
        device : {"cpu", "cuda"} or None
            Where the encoder runs; None for the CPU. A graphics card needs a model with torch weights.
        runtime : {"onnx", "torch"} or None
            What runs it; None for torch on a graphics card and in a folder without an ONNX graph, else ONNX Runtime.
        review_on : str, collection of str, or None
            The tasks of which an unsure answer sends a case to review; None for all but the taxonomy's kind and
            urgency. Who only routes needs only ``"agency"`` to be sure. Whatever is named, an emergency, a text that
            was not read in full, and a case without a recipient or the place that decides it need a look.

        Raises
        ------
        ModelFormatError
            If the folder is not a sound model folder, or has no weights for that runtime.
        ValueError
            If an option has no such value (``threads`` below 1, an unknown device), ``target_error`` or ``review_on``
            names a task that the model lacks, or the domain lacks labels of the model.
        TypeError
            If ``domain`` is not a Domain.
        """
        tasks = (review_on,) if isinstance(review_on, str) else None if review_on is None else tuple(review_on)
        return cls(find_model(name), _Options(target_error, threads, domain, device, runtime, tasks))

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self.folder, self._options, self.priors)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} of {len(task.labels)}" for name, task in self.config.tasks.items())
        return f"ComplaintClassifier({self.config.model_hash}: {sizes})"

    def with_priors(self, frequencies: Mapping[str, float], task: str | None = None) -> ComplaintClassifier:
        """Return a classifier that knows how often labels occur where it is used; it shares this one's weights.

        The bundled model was trained on about as many texts of each topic. An office that gets a third of its cases
        about one of them gains, where a text may be read in two ways, if it says so. Each label's probability is
        multiplied by its frequency over that of the calibration, and all are normalised again (Saerens et al., 2002),
        which is right if texts of one label are worded like those of the training. Where topics belong to agencies,
        frequencies of either change the probabilities of both. Thresholds stay: they keep to the target error at the
        frequencies of the calibration, and at others about so.

        Parameters
        ----------
        frequencies : mapping of str to float
            Counts, or shares, of labels, all above 0; counted, not guessed, over a time like the one to come. A few
            hundred cases only help if their frequencies differ much (``python -m eval.quality.priors``). Labels that
            are not named keep their share of the calibration, and the named ones divide the rest among them.
        task : str or None
            None for the topic, or for the first task of a model without topics. Frequencies for other tasks that were
            given before stay, but topics and agencies have one set of frequencies, the last one given.

        Raises
        ------
        ValueError
            If the model has no such task, a text may have several labels of it, fewer than two labels are named, a
            frequency is not above 0, or the model was never calibrated.
        UnknownIdError
            If a label is none of the task's; the message suggests similar ones.

        Examples
        --------
        >>> clf = ComplaintClassifier.from_pretrained()
        >>> here = clf.with_priors({"waste_collection": 825, "pests_rodents": 90, "parks_landscaping": 40})
        >>> text = "ريحة الزبالة واصلة للبيت"
        >>> bool(here.predict(text).topic.probability > clf.predict(text).topic.probability)
        True
        """
        task, tasks = self.known_task(task), self.config.tasks
        frequencies = dict(frequencies)  # also of a pandas.Series, as value_counts gives
        ratios = deciding_ratios(tasks, task, log_ratios(task, tasks[task], frequencies))
        deciding = deciding_task(tasks, task)
        others = {name: counts for name, counts in self.priors.items() if deciding_task(tasks, name) != deciding}
        weighted = object.__new__(type(self))
        weighted.__dict__.update(self.__dict__)
        weighted.priors = {**others, task: {str(label): float(count) for label, count in frequencies.items()}}
        weighted._ratios = {**self._ratios, deciding: ratios}
        return weighted

    def _thresholds_for(self, targets: Mapping[str, float]) -> dict[str, float]:
        """Return the thresholds for target errors, and warn once of each that cannot be reached."""
        for sentence in unreached(self.config.tasks, targets):
            if sentence not in self._warned:
                self._warned.add(sentence)
                logger.warning("%s: %s", self.folder, sentence)
        return thresholds_at(self.config.tasks, targets)

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """Label ids of each task, in the order of :meth:`predict_proba`'s columns."""
        return {name: task.labels for name, task in self.config.tasks.items()}

    @property
    def multi_label_tasks(self) -> tuple[str, ...]:
        """The tasks of which a text may have several labels, or none."""
        return tuple(name for name, task in self.config.tasks.items() if task.multi_label)

    @property
    def review_on(self) -> tuple[str, ...]:
        """The tasks of which an unsure answer sends a case to review."""
        return self._answers.review_on

    @property
    def finds_issues(self) -> bool:
        """Whether the model tells several issues of a case apart; else every case has its main one only."""
        return self.config.issues is not None and self.config.issues.task == "topic"

    def info(self) -> dict[str, Any]:
        """Return what is known about the model: format, tasks, thresholds, normalisation, hash, runtime, data."""
        facts: dict[str, Any] = {
            "folder": str(self.folder),
            "model_hash": self.config.model_hash,
            "format_version": self.config.format_version,
            "tasks": {name: len(task.labels) for name, task in self.config.tasks.items()},
            "multi_label_tasks": list(self.multi_label_tasks),
            "thresholds": {name: task.thresholds for name, task in self.config.tasks.items()},
            "target_error": self._targets,
            "review_on": list(self.review_on),
            "warnings": list(unreached(self.config.tasks, self._targets)),
            "normalisation": f"{self.config.profile['name']} ({self.config.profile_fingerprint})",
            "max_tokens": self.config.max_tokens,
            "runtime": self._scorers.runtime.name,
            "domain": f"{self.domain.id} {self.domain.version} ({self.domain.fingerprint})",
            "priors": dict(self.priors),
        }
        # What a model tells about itself is free-form, and takes no fact's place.
        return {**facts, **self.config.about, **facts}

    @overload
    def predict(  # type: ignore[overload-overlap]  # a str is also a Iterable[str]; this form comes first and wins
        self, texts: str, *, batch_size: int = ..., target_error: TargetError | None = ...
    ) -> Prediction: ...

    @overload
    def predict(
        self, texts: Iterable[str], *, batch_size: int = ..., target_error: TargetError | None = ...
    ) -> list[Prediction]: ...

    def predict(
        self, texts: str | Iterable[str], *, batch_size: int = 64, target_error: TargetError | None = None
    ) -> Prediction | list[Prediction]:
        """Read one case or many.

        Parameters
        ----------
        texts : str or iterable of str
            One text gives one prediction; many give a list in the same order, whether they come as a list, a
            generator, a column of a data frame or an Arrow array.
        batch_size : int
            Texts that the encoder reads at once; the answers do not depend on it.
        target_error : float, mapping, or None
            See :meth:`from_pretrained`; None, and tasks that are not named, for what was said there.

        Returns
        -------
        Prediction or list of Prediction
            A text without letters or digits (empty, blank, only emoji, signs or control characters) needs review: it is
            ``out_of_scope``, or in a model without such a label the first label, at the probability of a guess; of a
            multi-label task it has no label. Any other text is read, whatever its scripts; control characters and lone
            surrogates count as spaces, and of a text longer than the encoder reads the start counts (the reason
            ``long_text`` says so).

        Raises
        ------
        InvalidTextError
            If an input is not a str (None, a number, ...); ``.index`` is its position.
        ValueError
            If ``target_error`` is no share, or names a task that the model lacks.
        """
        single = isinstance(texts, str)
        thresholds = self._thresholds
        if target_error is not None:
            thresholds = self._thresholds_for(targets_of(self.config.tasks, target_error, self._targets))
        unique, rows = _distinct(checked_texts(texts))
        predictions: list[Prediction] = []
        for output in self._scorers.forward(unique, at_least_one("batch_size", batch_size), self._ratios):
            texts_read = unique[len(predictions) : len(predictions) + len(output.truncated)]
            predictions += self._answers.predictions(texts_read, output, thresholds)
        return predictions[0] if single else [predictions[row] for row in rows]

    def predict_proba(self, texts: str | Iterable[str], task: str | None = None, *, batch_size: int = 64) -> np.ndarray:
        """Return calibrated probabilities.

        Parameters
        ----------
        task : str or None
            None for the topic, or for the first task of a model without topics.

        Returns
        -------
        ndarray of float64, shape (n_texts, n_labels)
            Columns are ``labels[task]``. Rows sum to 1, but of a multi-label task every label has a probability of its
            own. The agency's columns are the groups that the model knows, before routing.
        """
        return self._forward(texts, batch_size=batch_size).probabilities[self.known_task(task)]

    def encode(self, texts: str | Iterable[str], *, batch_size: int = 64) -> np.ndarray:
        """Return what texts are about, as the encoder's embeddings: float32 (n_texts, hidden).

        They are of length 1, so that a dot product of two rows is their cosine.

        Examples
        --------
        >>> water, again, thanks = ComplaintClassifier.from_pretrained().encode(
        ...     ["الماي مقطوع من امس", "انقطاع المياه منذ يومين", "شكرا لعمال النظافة"]
        ... )
        >>> bool(water @ again > water @ thanks)
        True
        """
        return self._encoded("embedding", texts, batch_size)

    def encode_incidents(self, texts: str | Iterable[str], *, batch_size: int = 64) -> np.ndarray:
        """Return which events texts describe, as float32 (n_texts, 128): reports of one event lie close.

        They are of length 1, so that a dot product of two rows is their cosine. A model without incident vectors raises
        ModelFormatError.

        Examples
        --------
        >>> ComplaintClassifier.from_pretrained().encode_incidents("الماي مقطوع في مجمع 711").shape
        (1, 128)
        """
        _ = self.incident_size  # raises for a model without them, before anything is read
        return self._encoded("incident", texts, batch_size)

    @property
    def reads_pairs(self) -> bool:
        """Whether the model can read two texts together, as :meth:`pair_logits` does."""
        return self.config.reads_pairs

    def pair_logits(self, pairs: Iterable[tuple[str, str]], *, batch_size: int = 64) -> np.ndarray:
        """Return the log-odds that two texts report one event, from reading both together: float32 (n_pairs,).

        They are not calibrated, and depend a little on which text comes first: :class:`DuplicateGrouper` does better.
        A model that does not read pairs raises ModelFormatError.
        """
        if not self.reads_pairs:
            raise ModelFormatError(f"{self.folder}: this model reads one text at a time; use one trained to read pairs")
        texts = checked_texts([text for first, second in pairs for text in (first, second)])
        checked = list(zip(texts[::2], texts[1::2], strict=True))
        return self._scorers.pair_logits(checked, at_least_one("batch_size", batch_size))

    def _encoded(self, output: str, texts: str | Iterable[str], batch_size: int) -> np.ndarray:
        unique, rows = _distinct(checked_texts(texts))
        return self._scorers.encode(unique, output, at_least_one("batch_size", batch_size))[rows]

    def _forward(self, texts: Iterable[str], *, batch_size: int = 64) -> ModelOutput:
        """Return probabilities and embeddings of texts from one pass over them."""
        unique, rows = _distinct(checked_texts(texts))
        outputs = list(self._scorers.forward(unique or [""], at_least_one("batch_size", batch_size), self._ratios))
        return joined_rows(outputs, rows)

    def _urgencies(self, output: ModelOutput) -> np.ndarray:
        """Return which of the levels of urgency each text of a pass has, -1 if the model does not tell: (n_texts,)."""
        return self._answers.urgencies(output.probabilities)

    @property
    def incident_size(self) -> int:
        """Numbers in an incident vector; ModelFormatError if the model has none, so that it cannot group duplicates."""
        sizes = self._scorers.runtime.sizes()
        if "incident" not in sizes:
            raise ModelFormatError(
                f"{self.folder}: this model has no incident vectors, so it classifies but does not group duplicates; "
                "group with the bundled model, or train one with incidents"
            )
        return sizes["incident"]

    def save_pretrained(self, folder: str | Path) -> Path:
        """Copy the model's files, with its card if there is one, to a folder; FileExistsError if it is not empty."""
        return copy_model(self.folder, Path(folder))

    def explain(self, text: str, task: str | None = None, *, label: str | None = None) -> Explanation:
        """Say which words of the text carried the decision; see :func:`tawasul_nlp.explanation.weigh_words`."""
        from tawasul_nlp.explanation import weigh_words

        return weigh_words(self, text, task, label=label)

    def known_task(self, task: str | None) -> str:
        """Return a task's name: for None the topic, or else the first task, of one label if it can be."""
        if task is None:
            # The topic cannot be multi-label, so it comes first, then tasks of one label.
            return min(self.config.tasks, key=lambda name: (name != "topic", self.config.tasks[name].multi_label))
        if task not in tuple(self.config.tasks):
            raise ValueError(f"task is {task!r}, but this model has {', '.join(self.config.tasks)}")
        return task


def _distinct(texts: list[str]) -> tuple[list[str], np.ndarray]:
    """Return the distinct texts in order of appearance, and each text's position among them: (n_texts,), int64."""
    position: dict[str, int] = {}
    rows = [position.setdefault(text, len(position)) for text in texts]
    return list(position), np.array(rows, np.int64)


def _restore(folder: Path, options: _Options, priors: Mapping[str, Mapping[str, float]]) -> ComplaintClassifier:
    classifier = ComplaintClassifier(folder, options)
    for task, frequencies in priors.items():
        classifier = classifier.with_priors(frequencies, task)
    return classifier


@lru_cache(maxsize=1)
def _load_bundled(threads: int | None) -> ComplaintClassifier:
    return ComplaintClassifier.from_pretrained(threads=threads)


@overload
def predict(texts: str, *, threads: int | None = ..., target_error: TargetError | None = ...) -> Prediction: ...  # type: ignore[overload-overlap]  # as above


@overload
def predict(
    texts: Iterable[str], *, threads: int | None = ..., target_error: TargetError | None = ...
) -> list[Prediction]: ...


def predict(
    texts: str | Iterable[str], *, threads: int | None = None, target_error: TargetError | None = None
) -> Prediction | list[Prediction]:
    """Read one case or many with the bundled model, which is loaded once for as many threads.

    The parameters are those of :meth:`ComplaintClassifier.predict` and, of ``threads``,
    :meth:`ComplaintClassifier.from_pretrained`; with another number of threads the model is loaded again.

    Examples
    --------
    >>> predict("شكرا لعمال النظافة في المحرق").agency.id
    'muharraq_municipality'
    """
    with loading_lock:
        classifier = _load_bundled(threads)
    return classifier.predict(texts, target_error=target_error)


def explain(text: str, task: str | None = None, *, label: str | None = None) -> Explanation:
    """Say which words carried the bundled model's decision; as :meth:`ComplaintClassifier.explain`.

    Examples
    --------
    >>> "طافحة" in explain("المجاري طافحة عندنا من اسبوع").top(2)
    True
    """
    with loading_lock:
        classifier = _load_bundled(None)
    return classifier.explain(text, task, label=label)
