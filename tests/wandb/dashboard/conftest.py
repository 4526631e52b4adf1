"""wandb-workspaces is written for an older pydantic, which warns of that while it is imported."""

import importlib
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    importlib.import_module("wandb_workspaces.workspaces")
