"""Search for hyperparameters: Optuna proposes, a launcher trains, scores are read from run folders."""
