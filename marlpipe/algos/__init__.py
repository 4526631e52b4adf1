"""Algorithms: losses whose parts and hyperparameters are constructor arguments; targets, projections, rewards."""
