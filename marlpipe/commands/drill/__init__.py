"""Kills and resumes a run, and checks that it equals the uninterrupted run bit for bit."""
