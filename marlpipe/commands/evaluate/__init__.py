"""A trained policy plays again: how good it is, and what it looks like."""
