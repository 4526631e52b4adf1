"""Sends what runs have kept for W&B, each row once, and asks W&B whether it has it."""
