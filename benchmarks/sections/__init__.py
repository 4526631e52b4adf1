"""Sections of the benchmark: each module has a function `section`; processes and gradient_steps are shared."""
