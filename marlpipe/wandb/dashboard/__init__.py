"""The comparison as a saved view or a report of W&B: built from what the runs of a folder record."""
