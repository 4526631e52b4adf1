"""The private API of W&B is used in one module only."""

import ast
from pathlib import Path

from marlpipe.wandb import private_api
from tests.support.repository import ROOT

PRIVATE = ("wandb.sdk", "wandb.proto", "wandb.apis", "wandb_workspaces._", "wandb_workspaces.reports.v2.gql")
FILES = [file for file in sorted((ROOT / "marlpipe").rglob("*.py")) if file != Path(private_api.__file__)]


def test_private_modules_and_attributes_of_wandb_are_in_one_module() -> None:
    for file in FILES:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        modules = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                modules += [f"{node.module}.{alias.name}" for alias in node.names]
        assert not [module for module in modules if module.startswith(PRIVATE)], file
        settings = {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg} - {"x_axis"}
        assert not [name for name in settings if name.startswith("x_")], f"{file}: W&B's private settings"
