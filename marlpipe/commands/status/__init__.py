"""Shows how the runs of a grid stand, also long after it was submitted."""
