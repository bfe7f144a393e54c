"""Measure a model on labelled tables, compare models and periods, and choose what to label next."""
