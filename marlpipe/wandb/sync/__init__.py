"""Uploads what runs recorded for W&B, each row once, and checks that W&B has stored it."""
