"""A cascade answers from n-grams where they are sure, and otherwise exactly as the whole model does."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.errors import ModelFormatError
from tawasul_nlp.model.combine import combine
from tawasul_nlp.model.folder import CascadeConfig, read_config
from tests.model.tiny_model import TEXTS, write_tiny_model


def write_cascade(folder: Path, sure: float) -> Path:
    write_tiny_model(folder, ngram=True)
    config = read_config(folder)
    tasks = {name: replace(task, weights={"ngram": 1.0}, temperature=0.5) for name, task in config.tasks.items()}
    replace(config, cascade=CascadeConfig(tasks, dict.fromkeys(tasks, sure))).save(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cascade(tmp_path_factory.mktemp("models") / "m", 0.6)


def test_sure_texts_are_read_by_ngrams_alone_and_the_others_by_the_whole_model(folder: Path) -> None:
    whole, quick = (ComplaintClassifier.from_pretrained(folder, cascade=cascade) for cascade in (False, True))
    assert quick.cascade and not whole.cascade and quick.info()["cascade"]
    assert quick.config.cascade is not None
    alone = combine(quick.config.cascade.tasks, {"ngram": quick._readers.ngram.scores(TEXTS)})  # type: ignore[union-attr]
    sure = np.min([np.exp(values).max(1) for values in alone.values()], axis=0) >= 0.6
    assert 0 < sure.sum() < len(TEXTS)
    for task in whole.labels:
        tables = [clf.predict_proba(TEXTS, task) for clf in (whole, quick)]
        assert np.allclose(tables[1][sure], np.exp(alone[task])[sure])
        assert np.abs(tables[1][~sure] - tables[0][~sure]).max() < 1e-4
    predictions = quick.predict(TEXTS)
    assert [p == q for p, q in zip(predictions, whole.predict(TEXTS), strict=True)] == list(~sure)


def test_the_cascades_answers_do_not_depend_on_their_batch(folder: Path) -> None:
    quick = ComplaintClassifier.from_pretrained(folder, cascade=True)
    texts = [f"{text} {number}" for number in range(300) for text in TEXTS]
    whole = quick.predict_proba(texts, "subject")
    assert np.abs(whole[::-7] - quick.predict_proba(texts[::-7], "subject", batch_size=1)).max() < 1e-4
    assert [p.text for p in quick.predict(texts)] == texts
    twice = quick.predict([texts[3], texts[8], texts[3]])
    assert twice[0] is twice[2] and twice[0].text == texts[3]


def test_embeddings_readings_and_explanations_still_need_the_encoder(folder: Path) -> None:
    whole, quick = (ComplaintClassifier.from_pretrained(folder, cascade=cascade) for cascade in (False, True))
    assert np.array_equal(whole.embed(TEXTS), quick.embed(TEXTS))
    reading = quick.read(TEXTS)
    assert reading.embedding.shape == (5, 32) and not reading.spared.any()
    assert quick.explain(TEXTS[0]) == whole.explain(TEXTS[0])


def test_a_cascade_that_spares_everything_or_nothing_reads_too(tmp_path: Path) -> None:
    for sure in (0.01, 1.0):
        quick = ComplaintClassifier.from_pretrained(write_cascade(tmp_path / str(sure), sure), cascade=True)
        assert len(quick.predict(TEXTS)) == len(TEXTS) and quick.predict([]) == []
        assert pickle.loads(pickle.dumps(quick)).predict(TEXTS) == quick.predict(TEXTS)


def test_a_model_without_a_cascade_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no cascade"):
        ComplaintClassifier.from_pretrained(write_tiny_model(tmp_path / "m"), cascade=True)


def test_the_format_of_folders_without_a_cascade_stays_the_same(folder: Path, tmp_path: Path) -> None:
    plain = write_tiny_model(tmp_path / "m", ngram=True)
    stored = json.loads((plain / "config.json").read_text(encoding="utf-8"))
    assert stored["format_version"] == 1 and "cascade" not in stored
    assert read_config(folder).format_version == 2
    assert read_config(folder).model_hash != read_config(plain).model_hash


@pytest.mark.parametrize(
    "changes",
    [
        {"sure": {"dept": 0.5}},
        {"sure": {"dept": 0.5, "subject": 1.5}},
        {"tasks": {}},
        {"more": 1},
    ],
)
def test_a_cascade_that_contradicts_its_model_is_refused(
    folder: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    import shutil

    copy = Path(shutil.copytree(folder, tmp_path / "m"))
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    config["cascade"] |= changes
    (copy / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelFormatError, match="damaged"):
        read_config(copy)
