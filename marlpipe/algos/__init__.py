"""Algorithms: each a loss, whose parts and hyperparameters are its fields."""
