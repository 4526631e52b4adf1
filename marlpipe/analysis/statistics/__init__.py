"""Statistics of evaluation returns: curves, bootstrap intervals, profiles, aggregates over tasks."""
