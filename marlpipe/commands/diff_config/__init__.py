"""Compares the configs of two runs, or of two lists of overrides."""
