"""Rewards of blocks: given by the world, or learned from the team reward (LOMAQ+RD, Zohar et al. 2022)."""
