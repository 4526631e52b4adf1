"""The terminal report: a table per environment, table.csv, and figures as PNG."""
