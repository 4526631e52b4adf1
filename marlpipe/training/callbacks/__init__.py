"""Callbacks of the Trainer: evaluation schedule, checkpoints, metrics, pictures, progress."""
