"""Checks a world against the interface of all worlds, by random play."""
