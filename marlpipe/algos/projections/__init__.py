"""Projection weights: how much each transition counts when Q* is projected onto the monotonic functions."""
