"""The papers' figures: our curves in the papers' axes, beside what can be read there, and whether their claims hold."""
