"""Run folders on disk: files, status, lock, provenance. Imports no torch."""
