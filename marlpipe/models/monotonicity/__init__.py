"""Keeping mixed values monotone in the utilities: by the weights, by projection, or by a penalty."""
