"""Proof, on the user's own machine, that a run survives what kills it: interrupted and whole, equal to the last bit."""
