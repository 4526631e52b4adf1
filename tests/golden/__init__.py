"""One gradient step of each method against steps that its authors' public code took on the same data."""
