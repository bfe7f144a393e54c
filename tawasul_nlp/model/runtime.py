"""Running the encoder: a small protocol, and ONNX Runtime behind it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

import numpy as np

from tawasul_nlp._system import cores, logger
from tawasul_nlp.errors import ModelFormatError
from tawasul_nlp.model.folder import ENCODER, NETWORK, ModelConfig, model_file
from tawasul_nlp.model.graph import checked_graph
from tawasul_nlp.model.per_process import PerProcess, freed_by_its_process, loading_lock
from tawasul_nlp.model.portable import products_overflow, with_portable_softmax
from tawasul_nlp.model.telemetry import onnxruntime_without_telemetry

# A batch of so many tokens stays in a core's caches: on an EPYC, batches of 8 cases of 50 tokens take two thirds of the
# time that batches of 32 take.
CPU_TOKENS = 512
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")

Batch = tuple[np.ndarray, np.ndarray]
"""Token ids and attention mask, each int64 (texts, tokens)."""


class Runtime(Protocol):
    """Whatever turns token ids into an embedding and the logits of each task."""

    @property
    def batch_tokens(self) -> int:
        """Tokens of a batch, padding included, that it runs best with."""
        ...

    @property
    def name(self) -> str:
        """What runs where, for people."""
        ...

    def sizes(self) -> Mapping[str, int]:
        """Return the outputs and how many columns each has."""
        ...

    def run(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> dict[str, np.ndarray]:
        """Map int64 arrays (texts, tokens) to ``embedding`` (texts, hidden) and each task's logits (texts, labels)."""
        ...

    def run_all(self, batches: Sequence[Batch]) -> Iterator[dict[str, np.ndarray]]:
        """Run many batches, in their order."""
        ...


def check_outputs(path: Path, found: Mapping[str, object], wanted: Mapping[str, int]) -> None:
    """Check that an encoder gives an embedding and as many logits as each task has labels.

    Raises
    ------
    ModelFormatError
        If it does not.
    """
    for name, size in {"embedding": None, **wanted}.items():
        if name not in found:
            raise ModelFormatError(f"{path}: has no output {name!r}, only {', '.join(found)}; export the model again")
        if size is not None and found[name] != size:
            raise ModelFormatError(
                f"{path}: output {name!r} has {found[name]} columns, but the configuration has {size} labels; "
                "restore the whole folder"
            )


def choose_runtime(
    folder: Path,
    config: ModelConfig,
    *,
    threads: int | None,
    device: str | None,
    runtime: str | None,
    spinning: bool = False,
) -> Runtime:
    """Return what runs a model folder's encoder: see ``ComplaintClassifier.from_pretrained``.

    Raises
    ------
    ModelFormatError
        If the folder has no weights for it.
    ValueError
        If there is no such device or runtime, or the two do not go together.
    """
    if runtime not in (None, "onnx", "torch"):
        raise ValueError(f"runtime is {runtime!r}, expected 'onnx', 'torch' or None")
    device = device or "cpu"
    if runtime is None:
        runtime = "onnx" if device == "cpu" and ENCODER in config.files else "torch"
    if runtime == "torch":
        from tawasul_nlp.model.torch_runtime import TorchRuntime

        if NETWORK not in config.files:
            raise ModelFormatError(
                f"{folder}: no {NETWORK}, so torch cannot run it; use runtime='onnx' and device='cpu', "
                "or train a model with torch weights"
            )
        return TorchRuntime(folder, config, device, threads)
    if device != "cpu":
        raise ValueError(f"device is {device!r}, but runtime 'onnx' runs on the CPU only; use runtime='torch'")
    if ENCODER not in config.files:
        raise ModelFormatError(f"{folder}: no {ENCODER}, so ONNX Runtime cannot run it; use runtime='torch'")
    wanted = {name: len(task.labels) for name, task in config.tasks.items() if "encoder" in task.weights}
    return OnnxRuntime(model_file(folder, ENCODER), threads, wanted, spinning=spinning)


class OnnxRuntime:
    """An ONNX graph on the CPU.

    One batch is shared by the threads of one session. Of many batches each thread runs its own, in a session of its
    own (some 65 MB, ``python -m eval.threads``): cores that share a batch, or only a session's memory, hand it to each
    other at every layer, which on some machines costs half of the time.

    A session is made on first use, again in a forked child (thread pools do not survive a fork), and again after
    unpickling, so that an instance can be handed to process pools.

    Parameters
    ----------
    path : Path
    threads : int or None
        Threads for one call; None for as many as the process may use cores.
    wanted : mapping of str to int
        Labels of each task whose logits the graph must give.
    spinning : bool
        Whether the threads that share a batch wait for each other awake, which takes much more of the processor and
        is slower where something else wants it (``python -m eval.threads``).
    """

    name = "ONNX Runtime, CPU"
    batch_tokens = CPU_TOKENS

    def __init__(
        self,
        path: Path,
        threads: int | None = None,
        wanted: Mapping[str, int] | None = None,
        *,
        spinning: bool = False,
    ) -> None:
        self.path = path
        self.threads = threads
        self.wanted = dict(wanted or {})
        self.spinning = spinning
        self._count = threads or cores()
        self._session = PerProcess(partial(self._open, self._count))
        self._unused = PerProcess(self._unopened)

    def session(self) -> Any:
        """Return this process's session, all threads in one."""
        return self._session.get()

    def _unopened(self) -> SimpleQueue[Any]:
        """Return the sessions that no thread is using: None for one that none has used yet."""
        unused: SimpleQueue[Any] = SimpleQueue()
        for _ in range(self._count):
            unused.put(None)
        return unused

    def _open(self, threads: int) -> Any:
        began = time.perf_counter()
        onnxruntime = onnxruntime_without_telemetry()
        graph = with_portable_softmax(checked_graph(self.path))
        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = 1
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(self.spinning)))
        options.add_session_config_entry("session.x64quantprecision", str(int(products_overflow())))
        options.add_session_config_entry("session.load_model_format", "ONNX")  # or bytes could be of its own format
        try:
            # Bytes and not a path: what is loaded is what was checked, and it can name no file beside it.
            session = freed_by_its_process(
                onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
            )
        except Exception as error:  # ONNX Runtime raises its own, undocumented classes
            raise ModelFormatError(
                f"{self.path}: ONNX Runtime cannot load it ({str(error).splitlines()[0]}); restore the model folder"
            ) from error
        session._model_bytes = None  # or it keeps them for good: as much memory again as the file is large
        inputs = [item.name for item in session.get_inputs()]
        if "input_ids" not in inputs or not set(inputs) <= set(_INPUTS):
            raise ModelFormatError(f"{self.path}: asks for {', '.join(inputs)}; expected some of {', '.join(_INPUTS)}")
        if any(len(item.shape or ()) != 2 for item in session.get_outputs()):
            raise ModelFormatError(f"{self.path}: has outputs that are no tables (texts, numbers); export it again")
        # A symbolic size is checked by what comes out.
        sizes = {
            item.name: item.shape[1] if isinstance(item.shape[1], int) else self.wanted.get(item.name)
            for item in session.get_outputs()
        }
        check_outputs(self.path, sizes, self.wanted)
        logger.info(
            "%s: opened in %.2f s by ONNX Runtime %s, with %d of %d threads",
            self.path,
            time.perf_counter() - began,
            onnxruntime.__version__,
            threads,
            self._count,
        )
        return session

    def sizes(self) -> dict[str, int]:
        """Return the outputs and how many columns each has."""
        return {item.name: item.shape[1] for item in self.session().get_outputs()}

    def run(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> dict[str, np.ndarray]:
        """Run one padded batch; see :class:`Runtime`."""
        return self._run(self.session(), input_ids, attention_mask)

    def run_all(self, batches: Sequence[Batch]) -> Iterator[dict[str, np.ndarray]]:
        """Run many padded batches; see :class:`Runtime`."""
        threads = min(self._count, len(batches))
        if threads <= 1:
            yield from (self.run(*batch) for batch in batches)
            return
        with ThreadPoolExecutor(threads) as pool:
            yield from pool.map(self._run_alone, batches)

    def _run_alone(self, batch: Batch) -> dict[str, np.ndarray]:
        unused = self._unused.get()
        session = unused.get()  # waits while calls of other threads use them all
        try:
            if session is None:
                with loading_lock:  # one after the other, for each holds the file several times while it opens
                    session = self._open(1)
            return self._run(session, *batch)
        finally:
            unused.put(session)

    def _run(self, session: Any, input_ids: np.ndarray, attention_mask: np.ndarray) -> dict[str, np.ndarray]:
        given = {"input_ids": input_ids, "attention_mask": attention_mask}
        # Only some exports ask for token types; all of ours are of the first type.
        feed = {
            item.name: given[item.name] if item.name in given else np.zeros_like(input_ids)
            for item in session.get_inputs()
        }
        try:
            values = session.run(None, feed)
        except Exception as error:  # as above: a graph that does not fit its tokenizer, or one made to fail
            raise ModelFormatError(
                f"{self.path}: cannot read {len(input_ids)} texts ({str(error).splitlines()[0]}); "
                "restore the whole folder"
            ) from error
        outputs = dict(zip([output.name for output in session.get_outputs()], values, strict=True))
        shapes: dict[str, tuple[int, ...]] = {name: getattr(value, "shape", ()) for name, value in outputs.items()}
        if any(len(shape) != 2 or shape[0] != len(input_ids) for shape in shapes.values()):
            raise ModelFormatError(f"{self.path}: gives shapes {shapes} for {len(input_ids)} texts; export it again")
        check_outputs(self.path, {name: shape[1] for name, shape in shapes.items()}, self.wanted)
        return outputs

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "threads": self.threads, "wanted": self.wanted, "spinning": self.spinning}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]
