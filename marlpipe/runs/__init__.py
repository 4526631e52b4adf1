"""Run folders and what is written to them. Nothing here needs torch."""
