"""``ComplaintClassifier``: from a citizen's text to kind, topic and agency in one call."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from tawasul_nlp.domain import Places, Routing, Taxonomy, find_named_agencies, find_places, route
from tawasul_nlp.errors import InvalidTextError, ModelFormatError
from tawasul_nlp.model.combine import combine
from tawasul_nlp.model.encoder import MAX_CHARS, EncoderReader
from tawasul_nlp.model.folder import BUNDLED, MAX_BYTES, NGRAM, ModelConfig, read_config
from tawasul_nlp.model.ngram import NgramReader
from tawasul_nlp.model.runtime import choose_runtime
from tawasul_nlp.prediction import LabelScore, Prediction

if TYPE_CHECKING:
    from tawasul_nlp.explain import Explanation

_CHUNK = 4_096
_ALTERNATIVES = 4
# What a text without anything to read is, in label sets that have a name for it.
_NOTHING = ("out_of_scope", "none")


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """Everything that one pass over some texts gives.

    Attributes
    ----------
    probabilities : dict of str to ndarray
        Calibrated probabilities (n_texts, n_labels) of each task.
    embedding : ndarray of float32, shape (n_texts, hidden)
        What a text is about; of length 1.
    incident : ndarray of float32, shape (n_texts, 128), or None
        What event it tells of; of length 1. None for a model without incident vectors.
    truncated : ndarray of bool, shape (n_texts,)
        Which texts were longer than the model reads.
    """

    probabilities: dict[str, np.ndarray]
    embedding: np.ndarray
    incident: np.ndarray | None
    truncated: np.ndarray


class ComplaintClassifier:
    """Classify citizens' cases by every task of a model, and route them.

    Make one with :meth:`from_pretrained`. An instance may be used from many threads at once, survives a fork, and
    can be pickled (it carries its folder's path, not the weights).

    Examples
    --------
    >>> clf = ComplaintClassifier.from_pretrained()
    >>> p = clf.predict("المجاري طافحة عندنا من اسبوع في مجمع 714 والريحة ما تنطاق")
    >>> p.topic.id, p.agency.id, p.kind.id
    ('sewage_overflow', 'works', 'complaint')
    """

    def __init__(
        self,
        folder: Path,
        *,
        target_error: float = 0.05,
        threads: int | None = None,
        taxonomy: Taxonomy | None = None,
        device: str | None = None,
        runtime: str | None = None,
    ) -> None:
        self.folder = folder
        self.config: ModelConfig = read_config(folder)
        self.target_error = target_error
        self._taxonomy_given = taxonomy
        self.taxonomy = taxonomy or Taxonomy.load()
        self._thresholds = {task: self._threshold(task) for task in self.config.tasks}
        self._how = (device, runtime)
        self._encoder = EncoderReader(
            folder, self.config, choose_runtime(folder, self.config, threads=threads, device=device, runtime=runtime)
        )
        self._ngram = NgramReader.load(folder / NGRAM) if NGRAM in self.config.files else None
        tables: dict[str, Mapping[str, Any]] = {
            "topic": self.taxonomy.topics,
            "agency": self.taxonomy.agencies,
            "kind": self.taxonomy.kinds,
        }
        # The names of a task's labels; a task that only shares a name with the taxonomy's keeps its own.
        self._names = {
            name: tables[name] if name in tables and set(task.labels) <= set(tables[name]) else {}
            for name, task in self.config.tasks.items()
        }

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path | None = None,
        *,
        target_error: float = 0.05,
        threads: int | None = None,
        taxonomy: Taxonomy | None = None,
        device: str | None = None,
        runtime: str | None = None,
    ) -> ComplaintClassifier:
        """Load a model.

        Parameters
        ----------
        name : str, Path or None
            None for the bundled model, a model folder, or the id of one on the Hugging Face Hub (``org/name``).
        target_error : float
            Share of errors that is acceptable among the answers that need no review: a target that the model's
            thresholds were fitted for (0.05 or 0.02 for the bundled model).
        threads : int or None
            CPU threads for one call; None for all cores.
        taxonomy : Taxonomy or None
            Names and routing of the labels; None for the bundled one.
        device : {"cpu", "cuda"} or None
            Where the encoder runs; None for the CPU. A graphics card needs a model with torch weights.
        runtime : {"onnx", "torch"} or None
            What runs it; None for torch on a graphics card and in a folder without an ONNX graph, else ONNX Runtime.

        Raises
        ------
        ModelFormatError
            If the folder is not a sound model folder, or has no weights for that runtime.
        ValueError
            If the model has no thresholds for ``target_error``, or there is no such device or runtime.
        """
        if name is None:
            folder = BUNDLED
        elif Path(name).is_dir():
            folder = Path(name)
        elif isinstance(name, str) and name.count("/") == 1 and not name.startswith((".", "/", "~")):
            folder = _from_hub(name)
        else:
            raise ModelFormatError(
                f"no model folder {str(name)!r}; pass an existing folder, 'org/name' on the Hub, or None"
            )
        options: dict[str, Any] = {"threads": threads, "taxonomy": taxonomy, "device": device, "runtime": runtime}
        return cls(folder, target_error=target_error, **options)

    def __reduce__(self) -> tuple[Any, ...]:
        device, runtime = self._how
        options = {
            "target_error": self.target_error,
            "threads": self._encoder.runtime.threads,
            "taxonomy": self._taxonomy_given,
            "device": device,
            "runtime": runtime,
        }
        return (_restore, (self.folder, options))

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} of {len(task.labels)}" for name, task in self.config.tasks.items())
        return f"ComplaintClassifier({self.config.model_hash}: {sizes})"

    def _threshold(self, task: str) -> float:
        thresholds = self.config.tasks[task].thresholds
        if not thresholds:
            return 0.0
        for target, threshold in thresholds.items():
            if abs(float(target) - self.target_error) < 1e-9:
                return threshold
        raise ValueError(
            f"target_error is {self.target_error}, but {task} has thresholds for {', '.join(thresholds)}; "
            "choose one of them"
        )

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """Label ids of each task, in the order of :meth:`predict_proba`'s columns."""
        return {name: task.labels for name, task in self.config.tasks.items()}

    def info(self) -> dict[str, Any]:
        """Return what is known about the model: format, tasks, thresholds, normalisation, hash and measured figures."""
        return {
            "folder": str(self.folder),
            "model_hash": self.config.model_hash,
            "format_version": self.config.format_version,
            "tasks": {name: len(task.labels) for name, task in self.config.tasks.items()},
            "thresholds": {name: task.thresholds for name, task in self.config.tasks.items()},
            "normalisation": f"{self.config.profile['name']} ({self.config.profile_fingerprint})",
            "max_tokens": self.config.max_tokens,
            "runtime": self._encoder.runtime.name,
            **self.config.about,
        }

    @overload
    def predict(  # type: ignore[overload-overlap]  # a str is also a Sequence[str]; this form comes first and wins
        self, texts: str, *, batch_size: int = ..., progress: bool = ...
    ) -> Prediction: ...

    @overload
    def predict(self, texts: Sequence[str], *, batch_size: int = ..., progress: bool = ...) -> list[Prediction]: ...

    def predict(
        self, texts: str | Sequence[str], *, batch_size: int = 64, progress: bool = False
    ) -> Prediction | list[Prediction]:
        """Read one case or many.

        Parameters
        ----------
        texts : str or sequence of str
            One text gives one prediction; a sequence gives a list in the same order.
        batch_size : int
            Texts that the encoder reads at once; the answers do not depend on it.
        progress : bool
            Whether to show a progress bar on standard error.

        Returns
        -------
        Prediction or list of Prediction
            A text without letters or digits needs review: it is ``out_of_scope``, or in a model without such a label
            the first label, at the probability of a guess.

        Raises
        ------
        InvalidTextError
            If an input is not a str (None, a number, ...); ``.index`` is its position.
        """
        single = isinstance(texts, str)
        listed = _checked(texts)
        predictions: list[Prediction] = []
        for chunk in _with_progress(listed, progress):
            reading = self._read(chunk, batch_size)
            predictions.extend(
                self._prediction(
                    text,
                    {task: table[row] for task, table in reading.probabilities.items()},
                    bool(reading.truncated[row]),
                )
                for row, text in enumerate(chunk)
            )
        return predictions[0] if single else predictions

    def predict_proba(self, texts: str | Sequence[str], task: str | None = None, *, batch_size: int = 64) -> np.ndarray:
        """Return calibrated probabilities.

        Parameters
        ----------
        texts : str or sequence of str
        task : str or None
            None for the topic, or for the first task of a model without topics.
        batch_size : int

        Returns
        -------
        ndarray of float64, shape (n_texts, n_labels)
            Rows sum to 1; columns are ``labels[task]``. The agency's columns are the groups that the model knows,
            before routing.
        """
        task = self.known_task(task)
        listed = _checked(texts)
        parts = [self._read(chunk, batch_size).probabilities[task] for chunk in _with_progress(listed, False)]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.labels[task])))

    def embed(self, texts: str | Sequence[str], *, batch_size: int = 64, output: str = "embedding") -> np.ndarray:
        """Return the encoder's embeddings.

        Parameters
        ----------
        texts : str or sequence of str
        batch_size : int
        output : {"embedding", "incident"}
            ``embedding`` tells what a text is about, ``incident`` what event it tells of: reports of one event lie
            close, whoever wrote them.

        Returns
        -------
        ndarray of float32, shape (n_texts, hidden) or (n_texts, 128)
            Of length 1, so that a dot product of two rows is their cosine.

        Raises
        ------
        ModelFormatError
            If the model has no incident vectors and they are asked for.
        """
        if output not in ("embedding", "incident"):
            raise ValueError(f"output is {output!r}, expected 'embedding' or 'incident'")
        width = self._width(output)
        listed = _checked(texts)
        parts = [self._encode(chunk, batch_size)[0][output] for chunk in _with_progress(listed, False)]
        return np.concatenate(parts) if parts else np.zeros((0, width), np.float32)

    def read(self, texts: Sequence[str], *, batch_size: int = 64) -> Reading:
        """Return probabilities and embeddings of texts from one pass over them."""
        return self._read(_checked(texts), batch_size)

    @property
    def incident_size(self) -> int:
        """Numbers in an incident vector.

        Raises
        ------
        ModelFormatError
            If the model has no incident vectors, so that it cannot group duplicates.
        """
        return self._width("incident")

    def explain(self, text: str, task: str | None = None) -> Explanation:
        """Say which words of the text carried the decision; see :func:`tawasul_nlp.explain.explain`."""
        from tawasul_nlp.explain import explain

        return explain(self, text, task)

    def known_task(self, task: str | None) -> str:
        """Return the name of a task of this model: the topic, or else its first task, for None.

        Raises
        ------
        ValueError
            If the model has no such task.
        """
        if task is None:
            return "topic" if "topic" in self.config.tasks else next(iter(self.config.tasks))
        if task not in self.config.tasks:
            raise ValueError(f"task is {task!r}, but this model has {', '.join(self.config.tasks)}")
        return task

    def _width(self, output: str) -> int:
        sizes = self._encoder.runtime.sizes()
        if output not in sizes:
            raise ModelFormatError(
                f"{self.folder}: this model has no {output} vectors, so it classifies but does not group duplicates; "
                "group with the bundled model, or train one with incidents"
            )
        return sizes[output]

    def _encode(self, texts: Sequence[str], batch_size: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Run the encoder; outputs and which texts were cut are in the order of ``texts``."""
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}, expected at least 1")
        tokens = self._encoder.tokenize(texts)
        return self._encoder.run(tokens, batch_size), tokens.truncated

    def _read(self, texts: Sequence[str], batch_size: int) -> Reading:
        """Read texts, identical ones once."""
        position: dict[str, int] = {}
        rows = [position.setdefault(text, len(position)) for text in texts]
        unique = list(position)
        readers: dict[str, dict[str, np.ndarray]] = {}
        readers["encoder"], truncated = self._encode(unique, batch_size)
        if self._ngram is not None:
            readers["ngram"] = self._ngram.scores(unique)
        combined = combine(self.config.tasks, readers)
        encoded = readers["encoder"]
        return Reading(
            {task: np.exp(values)[rows] for task, values in combined.items()},
            encoded["embedding"][rows],
            encoded["incident"][rows] if "incident" in encoded else None,
            truncated[rows],
        )

    def _score(self, task: str, label: str, probability: float, others: tuple[LabelScore, ...] = ()) -> LabelScore:
        entry = self._names[task].get(label)
        arabic, english = (entry.name_ar, entry.name_en) if entry is not None else (label, label)
        return LabelScore(label, arabic, english, probability, others)

    def _prediction(self, text: str, probabilities: dict[str, np.ndarray], truncated: bool) -> Prediction:
        places = find_places(text[:MAX_CHARS])
        if not any(char.isalnum() for char in text):
            return self._unread(text, places)
        labels: dict[str, LabelScore] = {}
        reasons: list[str] = []
        for task, values in probabilities.items():
            names = self.config.tasks[task].labels
            best = np.argsort(-values, kind="stable")[: 1 + _ALTERNATIVES]
            others = tuple(self._score(task, names[i], float(values[i])) for i in best[1:])
            labels[task] = self._score(task, names[best[0]], float(values[best[0]]), others)
            if labels[task].probability < self._thresholds[task] and not (task == "kind" and self._names[task]):
                reasons.append(f"low_{task}_confidence" if task in ("topic", "agency") else "low_confidence")
        routing = self._route(text, labels, probabilities, places)
        if routing is not None:
            group = labels["agency"]
            topic = labels["topic"]
            if topic.id in self.taxonomy.topics and self.taxonomy.agency_group(topic.id) != group.id:
                reasons.append("topic_agency_disagree")
            if topic.id == "out_of_scope":
                reasons.append("out_of_scope")
            if "place" in routing.needs:
                reasons.append("place_needed")
            labels["agency"] = self._score("agency", routing.agency_id, group.probability, group.alternatives)
        if truncated:
            reasons.append("long_text")
        return Prediction(text, labels, places, routing, tuple(dict.fromkeys(reasons)))

    def _route(
        self, text: str, labels: dict[str, LabelScore], probabilities: dict[str, np.ndarray], places: Places
    ) -> Routing | None:
        """Route by the likeliest topic of the likeliest agency."""
        if not (self._names.get("topic") and self._names.get("agency")):
            return None  # the model's own labels: the rules do not know them
        topics = self.config.tasks["topic"].labels
        own = [index for index, topic in enumerate(topics) if self.taxonomy.agency_group(topic) == labels["agency"].id]
        if not own:
            return None
        topic = topics[max(own, key=lambda index: float(probabilities["topic"][index]))]
        named = find_named_agencies(text[:MAX_CHARS], self.taxonomy)
        return route(topic, places, named, text=text[:MAX_CHARS], taxonomy=self.taxonomy)

    def _unread(self, text: str, places: Places) -> Prediction:
        """Answer for a text with nothing to read: for review, and out of scope or at the certainty of a guess."""
        labels = {}
        for task, settings in self.config.tasks.items():
            nothing = next((label for label in _NOTHING if label in settings.labels), None)
            probability = 1.0 if nothing is not None else 1.0 / len(settings.labels)
            labels[task] = self._score(task, nothing or settings.labels[0], probability)
        return Prediction(text, labels, places, None, ("empty_text",))


def _restore(folder: Path, options: dict[str, Any]) -> ComplaintClassifier:
    return ComplaintClassifier(folder, **options)


def _checked(texts: str | Sequence[str]) -> list[str]:
    if isinstance(texts, str):
        return [texts]
    if texts is None or isinstance(texts, bytes | dict) or not hasattr(texts, "__iter__"):
        raise InvalidTextError(f"expected a str or a sequence of str, got {type(texts).__name__}; decode or wrap it", 0)
    listed = list(texts)
    for index, text in enumerate(listed):
        if not isinstance(text, str):
            raise InvalidTextError(
                f"text {index} is {text!r:.80} ({type(text).__name__}), expected str; fill or drop missing texts first",
                index,
            )
    return listed


def _with_progress(texts: list[str], progress: bool) -> Iterator[list[str]]:
    chunks = (texts[start : start + _CHUNK] for start in range(0, len(texts), _CHUNK))
    if not progress:
        yield from chunks
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("classify", total=len(texts))
        for chunk in chunks:
            yield chunk
            bar.advance(task, len(chunk))


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=list(MAX_BYTES)))
    except Exception as error:  # the Hub client raises many classes; all mean the same to the caller
        raise ModelFormatError(
            f"{name!r} is no folder here and could not be fetched from the Hub ({type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else 'no detail'}); check the name and the connection, "
            "or pass a local model folder"
        ) from error


_bundled_lock = threading.Lock()


@lru_cache(maxsize=1)
def _load_bundled() -> ComplaintClassifier:
    return ComplaintClassifier.from_pretrained()


@overload
def predict(texts: str) -> Prediction: ...  # type: ignore[overload-overlap]  # as above


@overload
def predict(texts: Sequence[str]) -> list[Prediction]: ...


def predict(texts: str | Sequence[str]) -> Prediction | list[Prediction]:
    """Read one case or many with the bundled model, which is loaded once.

    Examples
    --------
    >>> predict("شكرا لعمال النظافة في المحرق").agency.id
    'muharraq_municipality'
    """
    with _bundled_lock:
        classifier = _load_bundled()
    return classifier.predict(texts)
