"""Run the encoder with ONNX Runtime on the CPU. It is imported here alone, its telemetry off: nothing leaves."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

from tawasul_nlp._system import cores, logger
from tawasul_nlp.errors import ModelFormatError
from tawasul_nlp.model.graph import checked_graph, with_portable_softmax
from tawasul_nlp.model.runtime import (
    CPU_TOKENS,
    TOKEN_OUTPUTS,
    Batch,
    PerProcess,
    check_outputs,
    freed_by_its_process,
    loading_lock,
)

_SWITCH = "ORT_DISABLE_TELEMETRY"
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def onnxruntime_without_telemetry() -> Any:
    """Import ONNX Runtime with its telemetry off, and return it.

    From release 1.32 on, its library writes an identifier of the machine and a database of events below the user's home
    folder as soon as it is loaded, and later sends the events to its maker. An existing ``ORT_DISABLE_TELEMETRY`` is
    kept.
    """
    chosen = _SWITCH in os.environ
    os.environ.setdefault(_SWITCH, "1")
    import onnxruntime  # noqa: TID251

    if not chosen:
        onnxruntime.disable_telemetry_events()  # if the program had already loaded the library
    return onnxruntime


class OnnxRuntime:
    """An ONNX graph on the CPU.

    A single batch is shared by the threads of one session. With many batches each thread runs its own, in its own
    session (some 65 MB, ``eval/results/archive/threads.md``): cores that share a batch, or only a session's memory,
    exchange it at every layer, which on some machines costs half of the time.

    A session is created on first use, and again in a forked child (thread pools do not survive a fork) and after
    unpickling, so an instance can be passed to process pools.

    ``expected`` is the number of columns of each output that the graph must have.
    """

    name = "ONNX Runtime, CPU"
    batch_tokens = CPU_TOKENS

    def __init__(
        self,
        path: Path,
        threads: int | None = None,
        expected: Mapping[str, int] | None = None,
    ) -> None:
        self.path = path
        self.threads = threads
        self.expected = dict(expected or {})
        self._count = threads or cores()
        self._session = PerProcess(partial(self._open, self._count))
        self._unused = PerProcess(self._unopened)

    def session(self) -> Any:
        """Return this process's session with all threads."""
        return self._session.get()

    def _unopened(self) -> SimpleQueue[Any]:
        unused: SimpleQueue[Any] = SimpleQueue()
        for _ in range(self._count):
            unused.put(None)
        return unused

    def _open(self, threads: int) -> Any:
        began = time.perf_counter()
        onnxruntime = onnxruntime_without_telemetry()
        graph = with_portable_softmax(checked_graph(self.path))
        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads, options.intra_op_num_threads = 1, threads
        options.log_severity_level = 3
        for entry, value in {
            # Threads that spin while they wait for their share of a batch would take much more processor time, and are
            # slower on a busy machine (eval/results/archive/threads.md).
            "session.intra_op.allow_spinning": "0",
            "session.x64quantprecision": str(int(products_overflow())),
            "session.load_model_format": "ONNX",  # or bytes could be ORT format
        }.items():
            options.add_session_config_entry(entry, value)
        try:
            # Bytes, not a path: the checked bytes are loaded, and cannot refer to other files.
            session = freed_by_its_process(
                onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
            )
        except Exception as error:  # ONNX Runtime raises its own, undocumented classes
            raise ModelFormatError(
                f"{self.path}: ONNX Runtime cannot load it ({str(error).splitlines()[0]}); restore the model folder"
            ) from error
        session._model_bytes = None  # or it keeps them: as much memory again as the size of the file
        inputs = [item.name for item in session.get_inputs()]
        if "input_ids" not in inputs or not set(inputs) <= set(_INPUTS):
            raise ModelFormatError(
                f"{self.path}: has inputs {', '.join(inputs)}; expected some of {', '.join(_INPUTS)}"
            )
        if any(len(item.shape or ()) != _dimensions(item.name) for item in session.get_outputs()):
            raise ModelFormatError(f"{self.path}: has outputs that are not of shape (texts, columns); export it again")
        # A symbolic size is checked on the output.
        sizes = {
            item.name: item.shape[-1] if isinstance(item.shape[-1], int) else self.expected.get(item.name)
            for item in session.get_outputs()
        }
        check_outputs(self.path, sizes, self.expected)
        seconds, version = time.perf_counter() - began, onnxruntime.__version__
        message = "%s: opened in %.2f s by ONNX Runtime %s, with %d of %d threads"
        logger.info(message, self.path, seconds, version, threads, self._count)
        return session

    def sizes(self) -> dict[str, int]:
        """Return the number of columns of each output."""
        return {item.name: item.shape[-1] for item in self.session().get_outputs()}

    def run(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> dict[str, np.ndarray]:
        """Run one padded batch; see :class:`~tawasul_nlp.model.runtime.Runtime`."""
        return self._run(self.session(), input_ids, attention_mask)

    def run_all(self, batches: Sequence[Batch]) -> Iterator[dict[str, np.ndarray]]:
        """Run many padded batches; see :class:`~tawasul_nlp.model.runtime.Runtime`."""
        threads = min(self._count, len(batches))
        if threads <= 1:
            yield from (self.run(*batch) for batch in batches)
            return
        with ThreadPoolExecutor(threads) as pool:
            yield from pool.map(self._run_alone, batches)

    def _run_alone(self, batch: Batch) -> dict[str, np.ndarray]:
        unused = self._unused.get()
        session = unused.get()  # waits while other threads use all of them
        try:
            if session is None:
                with loading_lock:  # one at a time, since each holds the file several times while it opens
                    session = self._open(1)
            return self._run(session, *batch)
        finally:
            unused.put(session)

    def _run(self, session: Any, input_ids: np.ndarray, attention_mask: np.ndarray) -> dict[str, np.ndarray]:
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        # Only some exports need token types; ours are all of the first type.
        feed = {
            item.name: inputs[item.name] if item.name in inputs else np.zeros_like(input_ids)
            for item in session.get_inputs()
        }
        try:
            values = session.run(None, feed)
        except Exception as error:  # as above: a graph that does not fit its tokenizer, or one crafted to fail
            raise ModelFormatError(
                f"{self.path}: cannot run {len(input_ids)} texts ({str(error).splitlines()[0]}); "
                "restore the whole folder"
            ) from error
        outputs = dict(zip([output.name for output in session.get_outputs()], values, strict=True))
        shapes: dict[str, tuple[int, ...]] = {name: getattr(value, "shape", ()) for name, value in outputs.items()}
        if any(
            len(shape) != _dimensions(name) or shape[:-1] != input_ids.shape[: len(shape) - 1]
            for name, shape in shapes.items()
        ):
            raise ModelFormatError(f"{self.path}: returns shapes {shapes} for {len(input_ids)} texts; export it again")
        check_outputs(self.path, {name: shape[-1] for name, shape in shapes.items()}, self.expected)
        return outputs

    def __reduce__(self) -> tuple[Any, ...]:
        return OnnxRuntime, (self.path, self.threads, self.expected)


@lru_cache(maxsize=1)
def products_overflow() -> bool:
    """Return whether products of uint8 by int8 overflow on this processor, by trying the largest.

    Without VNNI instructions (AVX2 alone, AVX-512 before Cascade Lake) they are summed in pairs in 16 bits, which
    overflow; for these ONNX Runtime 1.32 has an exact path.
    """
    onnxruntime = onnxruntime_without_telemetry()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # It multiplies 64 columns by 64 rows of the largest int8.
    model = Path(__file__).with_name("largest_products.onnx").read_bytes()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (sums,) = session.run(None, {"rows": np.full((64, 64), 255, np.uint8)})
    return bool((sums != 64 * 255 * 127).any())


def _dimensions(output: str) -> int:
    return 3 if output in TOKEN_OUTPUTS else 2
