"""How good the answers are, against peers and baselines: classification, duplicates, places, masks, normalisation."""
