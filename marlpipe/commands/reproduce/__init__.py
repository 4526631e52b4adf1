"""Trains a run again from its folder, and compares both runs bit for bit."""
