"""Shows the state and progress of the runs below some folders."""
