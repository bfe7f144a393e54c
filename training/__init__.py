"""How the bundled model is made: corpus and splits, base encoder, training, calibration, export."""

from tawasul_nlp.extras import require

require("train", "training", "torch", "transformers", "datasets", "sklearn", "scipy", "cleanlab", "onnx", "accelerate")
