"""The shape of the repository: who imports whom, what lies where, and that the documents tell the truth."""

import ast
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from omegaconf import OmegaConf

from marlpipe.build import build_algorithm, build_env
from marlpipe.configuration import config_folder, groups
from marlpipe.grid import composed, composing, planned_folders
from marlpipe.naming import register_resolvers
from marlpipe.rollout import rollout

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = sorted((ROOT / "marlpipe").rglob("*.py"))
CODE = [*PACKAGE, *sorted((ROOT / "hydra_plugins").rglob("*.py")), *sorted((ROOT / "benchmarks").rglob("*.py"))]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), ROOT / "multirun" / "README.md"]
LONGEST_FILE = 260  # lines: one idea per file

TIERS = [
    {
        *("types", "errors", "endings", "graphs", "layers", "jacobian", "memory", "scene", "bound", "records"),
        *("updates", "factorisation", "generators", "fingerprint"),
    },
    {
        *("envs", "agents", "mixers", "partitions", "monotonicity", "decomposition"),
        *("projections", "rewards", "exploration", "targets", "tree_backup", "pictures", "diagnostics"),
    },
    {"algos", "rollout", "replay"},
    {"learner", "data", "callbacks", "conformance"},
    {
        *("build", "config_bounds", "naming", "configuration", "grid", "launching", "resuming", "stored_config"),
        *("train", "evaluate", "bandit", "parallel_env", "check_env", "diff_config", "drill", "cli", "__main__"),
        *("conditions", "reproduce", "search"),
    },
]
MAY_READ_FOLDERS_ONLY = {
    "analysis": {"analysis", "pictures", "records", "errors"},
    "status": {"status", "records", "errors", "endings"},
    "sync": {"sync", "records", "errors", "endings"},
    "dashboard": {"dashboard", "analysis", "records", "errors", "endings"},
    "compare": {"compare", "analysis", "status", "naming", "records", "errors", "endings"},
}
MAY_USE_ANALYSIS = {"cli", "search"}


def relative(file: Path) -> str:
    return str(file.relative_to(ROOT))


def imported(file: Path) -> Iterator[str]:
    """What a file imports of marlpipe, as the name right below the package: `algos` for marlpipe.algos.blocks."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{relative(file)}: a relative import hides where it leads"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package == "marlpipe" and rest:
                yield rest.split(".")[0]


def part_of(file: Path) -> str:
    """The name right below the package that a file belongs to."""
    return file.relative_to(ROOT / "marlpipe").with_suffix("").parts[0]


def tier(part: str) -> int:
    found = [number for number, parts in enumerate(TIERS) if part in parts]
    assert found, f"marlpipe/{part} belongs to no tier: say in TIERS where"
    return found[0]


@pytest.mark.parametrize("file", PACKAGE, ids=relative)
def test_imports_go_one_way(file: Path) -> None:
    own = part_of(file)
    for other in imported(file):
        if own in MAY_READ_FOLDERS_ONLY:
            assert other in MAY_READ_FOLDERS_ONLY[own], f"{own} imports {other}"
        elif other in MAY_READ_FOLDERS_ONLY:
            assert own in MAY_USE_ANALYSIS, f"{own} imports {other}"
        elif own != "__init__":
            assert tier(other) <= tier(own), f"{own} imports {other}, which comes after it"


def test_the_launcher_knows_only_the_vocabulary() -> None:
    for file in (ROOT / "hydra_plugins").rglob("*.py"):
        assert {tier(other) for other in imported(file)} <= {0}, relative(file)


@pytest.mark.parametrize("file", CODE, ids=relative)
def test_files_are_small_and_named_after_what_they_do(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE
    assert not re.search(r"util|helper|misc|common", file.stem)


def test_profiles_agree_on_their_keys() -> None:
    profiles = {file.stem: OmegaConf.load(file) for file in (config_folder() / "profile").glob("*.yaml")}
    keys = {name: list(profile) for name, profile in profiles.items()}
    assert len(set(map(tuple, keys.values()))) == 1, keys


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_links_lead_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
        if not link.startswith(("https://", "http://", "mailto:")):
            path, _, anchor = link.partition("#")
            target = (document.parent / path).resolve() if path else document
            assert target.exists(), f"{link} is not there"
            assert not anchor or anchor in anchors(target), f"{path} has no heading #{anchor}"


def commands() -> list[list[str]]:
    """Every training command of the documents, without `python -m marlpipe`."""
    lines = [line for document in DOCUMENTS for line in document.read_text(encoding="utf-8").splitlines()]
    found = [line.strip() for line in lines if line.strip().startswith("python -m marlpipe ")]
    return [shlex.split(line, comments=True)[3:] for line in found]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_documented_commands_are_accepted(command: list[str]) -> None:
    register_resolvers()
    planned_folders([word for word in command if word != "-m"], config_folder(), sweep="-m" in command)


def test_documented_options_exist() -> None:
    """A README row such as | `algo` | `iql`, `vdn` | has options of its groups in backticks, and nothing else."""
    valid = groups(config_folder())
    rows = re.findall(r"^\| (`[^|]+) \| ([^|]+) \|$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    checked = 0
    for left, right in rows:
        names = re.findall(r"`(\w+)`", left)
        if names and all(name in valid for name in names):
            checked += 1
            for option in re.findall(r"`(\w+)`", right):
                assert any(option in valid[name] for name in names), f"{left}: {option}"
    assert checked >= 10


def test_the_readmes_example_of_a_new_part_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    [config] = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    [module] = re.findall(r"in `marlpipe/projections/(\w+)\.py`", text)
    written = ModuleType(f"marlpipe.projections.{module}")
    monkeypatch.setitem(sys.modules, written.__name__, written)
    exec(compile(code, f"{module}.py", "exec"), written.__dict__)
    for file in config_folder().rglob("*.yaml"):
        copy = tmp_path / file.relative_to(config_folder())
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "projection" / f"{module}.yaml").write_text(config, encoding="utf-8")
    for algo in ("wqmix", "lomaq"):
        with composing(tmp_path):
            run = composed([f"algo={algo}", f"projection={module}", "env.time_limit=5"], tmp_path)
        env = build_env(run)
        algorithm = build_algorithm(run, env)
        batch = rollout(env, algorithm.agent, 2, 1.0, torch.Generator().manual_seed(0))
        loss, _ = algorithm.loss(batch, algorithm.reward(batch))
        assert loss.isfinite()
