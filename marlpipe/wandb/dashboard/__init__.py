"""Saved views and reports of W&B, built from the metrics that the runs of a folder recorded."""
