"""The search for hyper-parameters: Optuna proposes, a grid's launcher trains, run folders hold the results."""
