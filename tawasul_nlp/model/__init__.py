"""The model: its folder format, the two scorers, the runtime, and how their scores become probabilities."""
