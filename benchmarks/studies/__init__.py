"""Measurements behind single figures of docs/: `python -m benchmarks.studies.NAME`."""
