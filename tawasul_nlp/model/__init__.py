"""The model: its folder format, the two readers, the runtime, and how their scores become probabilities."""
