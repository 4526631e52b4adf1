"""The search for hyper-parameters: Optuna proposes, a grid's launcher trains, run folders tell what came of it."""
