"""How the runs of a grid stand, for whoever submitted it, left, and looks again."""
