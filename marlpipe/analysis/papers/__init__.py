"""The papers' figures with our learning curves in them, and whether the papers' claims hold."""
