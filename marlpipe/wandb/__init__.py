"""Everything of Weights & Biases: a run's sink, its log, uploads of offline runs, dashboards."""
