"""How the bundled model is made: corpus and splits, base encoder, training, calibration, export."""
