"""Evaluates the trained policy of a run, with pictures and films of its episodes."""
