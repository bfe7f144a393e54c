"""Train a model on labels of one's own: data, configuration, fine-tuning, calibration, export, card."""

from tawasul_nlp.extras import require

require("train", "training", "torch", "transformers", "datasets", "sklearn", "scipy", "cleanlab", "onnx", "accelerate")
