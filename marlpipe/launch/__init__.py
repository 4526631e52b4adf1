"""Launchers of grids: local processes, Slurm through submitit, and the search for hyperparameters."""
