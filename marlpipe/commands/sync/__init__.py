"""Sends to W&B what it lacks of runs that were trained without network, or were interrupted."""
