"""Answers and speed of the encoder on processors other than this machine's: ``python -m eval.speed.processors``."""
