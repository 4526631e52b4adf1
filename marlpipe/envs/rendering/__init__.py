"""Worlds as pictures and films."""
