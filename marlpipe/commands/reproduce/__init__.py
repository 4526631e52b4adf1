"""A run again, from what its folder says, and whether it comes to the same."""
