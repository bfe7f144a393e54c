"""Weights are restored from any model folder, whatever its encoder's shape."""

import pytest
import torch

from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.model.folder import BUNDLED
from tawasul_nlp.training.restore import restore_network

pytestmark = pytest.mark.slow


def test_restored_weights_give_the_bundled_models_answers() -> None:
    classifier = ComplaintClassifier.from_pretrained()
    network = restore_network(BUNDLED)
    texts = ["المجاري طافحة عندنا من اسبوع في مجمع 714", "علاوة السكن ما نزلت هالشهر"]
    expected = classifier._forward(texts)
    for row, text in enumerate(texts):
        ids = classifier._scorers.encoder.tokenize([text]).ids[0]
        with torch.inference_mode():
            embedding, incident, *_ = network(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long))
        assert float(embedding[0] @ torch.from_numpy(expected.embedding[row])) > 0.998
        assert expected.incident is not None
        assert float(incident[0] @ torch.from_numpy(expected.incident[row])) > 0.998
