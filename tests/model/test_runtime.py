"""Many batches are read by several threads at once, each in a session of its own."""

import threading

import numpy as np
import pytest

from tawasul_nlp.errors import ModelFormatError
from tawasul_nlp.model.folder import BUNDLED, ENCODER
from tawasul_nlp.model.onnx_runtime import OnnxRuntime


def batches(count):
    drawn = np.random.default_rng(0)
    made = []
    for number in range(count):
        ids = drawn.integers(5, 2_000, (1 + number % 3, 4 + number), dtype=np.int64)
        made.append((ids, np.ones_like(ids)))
    return made


class Counted(OnnxRuntime):
    """The bundled encoder; it remembers with how many threads it opened each session."""

    def __init__(self):
        super().__init__(BUNDLED / ENCODER, threads=3)
        self.opened: list[int] = []

    def _open(self, threads):
        self.opened.append(threads)
        return super()._open(threads)


@pytest.fixture
def runtime():
    return Counted()


def test_batches_at_once_give_what_they_give_alone_and_in_their_order(runtime):
    given = batches(12)
    together = list(runtime.run_all(given))
    for batch, found in zip(given, together, strict=True):
        for name, values in runtime.run(*batch).items():
            np.testing.assert_allclose(found[name], values, atol=1e-4)


def test_no_more_sessions_are_opened_than_threads_whoever_asks(runtime):
    askers = [threading.Thread(target=lambda: list(runtime.run_all(batches(6)))) for _ in range(4)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert runtime.opened in ([1], [1, 1], [1, 1, 1])


def test_one_batch_gets_all_threads(runtime):
    assert len(list(runtime.run_all(batches(1)))) == 1
    assert runtime.opened == [3]


def test_a_batch_that_fails_leaves_every_session_for_the_next_call(runtime):
    strange = (np.full((1, 4), 10**6), np.ones((1, 4), np.int64))  # no such token
    for _ in range(3):
        with pytest.raises(ModelFormatError, match="cannot run 1 texts"):
            list(runtime.run_all([strange] * 6))
    assert len(list(runtime.run_all(batches(6)))) == 6


def test_a_file_that_is_no_model_is_refused_every_time(tmp_path):
    (tmp_path / ENCODER).write_bytes(b"no graph")
    runtime = OnnxRuntime(tmp_path / ENCODER, threads=2)
    for _ in range(3):
        with pytest.raises(ModelFormatError):
            list(runtime.run_all(batches(4)))


def test_threads_do_not_wait_for_each_other_awake():
    options = OnnxRuntime(BUNDLED / ENCODER, threads=2).session().get_session_options()
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
