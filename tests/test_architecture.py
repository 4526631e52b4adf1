"""The layout of the repository: what imports what, what lies where, and whether the documents are right."""

import ast
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from click import Context
from omegaconf import OmegaConf

from marlpipe.commands.command_line.verbs import command_line
from marlpipe.config.build import build_algorithm, build_env
from marlpipe.config.compose import compose_api, compose_run
from marlpipe.config.folder import config_folder, groups
from marlpipe.config.naming import register_resolvers
from marlpipe.config.plan import planned_folders
from marlpipe.training.rollout import rollout
from tests.support.repository import ROOT

PACKAGE = sorted((ROOT / "marlpipe").rglob("*.py"))
CODE = [*PACKAGE, *sorted((ROOT / "hydra_plugins").rglob("*.py")), *sorted((ROOT / "benchmarks").rglob("*.py"))]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), ROOT / "multirun" / "README.md"]
LONGEST_FILE = 260  # lines: one idea per file

# What may import what: a row for each folder or file of marlpipe/, as in docs/architecture.md.
WALLS = {
    "types": set(),
    "errors": set(),
    "runs": {"errors"},
    "envs": {"types", "errors", "runs.files", "runs.extras"},
    "models": {"types", "errors"},
    "algos": {"models", "types", "errors"},
    "config": {"algos", "models", "envs", "runs", "types", "errors"},
    "training": {"config", "algos", "models", "envs", "runs", "types", "errors"},
    "analysis": {"runs", "config.naming", "envs.rendering", "errors"},
    "wandb": {"runs", "analysis", "errors"},
    "launch": {"runs", "errors"},
    "launch.search": {"launch", "runs", "config", "analysis", "errors"},
    "bandit": {"config", "algos", "models", "envs", "runs", "types", "errors"},
    "commands": {"launch.search", *("bandit", "wandb", "launch", "analysis", "training", "config", "algos", "models")}
    | {"envs", "runs", "types", "errors"},
}


def relative(file: Path) -> str:
    return str(file.relative_to(ROOT))


def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def imported(file: Path) -> Iterator[str]:
    """Names that a file imports from marlpipe, without the package's name: `algos.blocks.TDFit`."""
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
                yield rest


def within(name: str, room: str) -> bool:
    return f"{name}.".startswith(f"{room}.")


def room(name: str) -> str:
    """The row of WALLS for a dotted name below marlpipe: the longest that holds it."""
    found = [row for row in WALLS if within(name, row)]
    assert found, f"marlpipe.{name} has no row in WALLS"
    return max(found, key=len)


def test_imports_keep_to_the_walls() -> None:
    for file in (file for file in PACKAGE if file.stem not in ("__init__", "__main__")):
        own = room(".".join(file.relative_to(ROOT / "marlpipe").with_suffix("").parts))
        for other in imported(file):
            allowed = within(other, own) or any(within(other, row) for row in WALLS[own])
            assert allowed, f"{relative(file)}: {own} imports {other}; a wall forbids it"


def test_walls_form_no_circle() -> None:
    """Each row names rows above it only."""
    rows = list(WALLS)
    for number, row in enumerate(rows):
        for other in WALLS[row]:
            assert rows.index(room(other)) < number, f"{row} may import {other}, which comes after it"


def test_each_entry_of_the_package_has_a_wall() -> None:
    entries = {entry.stem for entry in (ROOT / "marlpipe").iterdir() if not entry.name.startswith(("__", "."))}
    assert entries == {row for row in WALLS if "." not in row}


def test_what_hydra_finds_by_itself_imports_hydra_only() -> None:
    """Hydra executes it in every Hydra application of the environment."""
    [file] = (ROOT / "hydra_plugins").rglob("*.py")
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        modules += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
        for module in modules:
            assert module.split(".")[0] in {*sys.stdlib_module_names, "hydra", "omegaconf"}, module


def test_files_are_small_and_named_after_what_they_do() -> None:
    for file in CODE:
        assert len(file.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE, relative(file)
        assert not re.search(r"utils|helper|misc|common", file.stem), relative(file)


def test_profiles_agree_on_their_keys() -> None:
    profiles = {file.stem: OmegaConf.load(file) for file in (config_folder() / "profile").glob("*.yaml")}
    keys = {name: list(profile.get("profile", profile)) for name, profile in profiles.items()}
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


def commands() -> list[str]:
    """Each distinct command of the documents, without `python -m marlpipe` and comments."""
    lines = [line.strip() for document in DOCUMENTS for line in document.read_text(encoding="utf-8").splitlines()]
    found = [shlex.split(line, comments=True)[3:] for line in lines if line.startswith("python -m marlpipe ")]
    return sorted({shlex.join(words) for words in found})


def verb(command: str) -> str | None:
    """The verb of a command; None where it trains."""
    first = shlex.split(command)[0]
    return None if "=" in first or first.startswith("-") else first


@pytest.mark.usefixtures("first_and_last")
@pytest.mark.parametrize("command", [command for command in commands() if verb(command) is None])
def test_documented_trainings_are_accepted(command: str) -> None:
    """Experiments by themselves only have to exist here: tests/config/test_composition.py plans the runs of each."""
    match shlex.split(command):
        case ["--help"]:
            pass
        case ["-m", experiment] if experiment.startswith("+experiment="):
            assert experiment.removeprefix("+experiment=") in groups(config_folder())["experiment"]
        case words:
            register_resolvers()
            planned_folders([word for word in words if word != "-m"], config_folder(), sweep="-m" in words)


@pytest.mark.parametrize("command", [command for command in commands() if verb(command) is not None])
def test_documented_verbs_are_parsed(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the parser of the verb, which runs nothing; overrides are those of a training, but for the bandit's."""
    (tmp_path / "multirun").mkdir()
    monkeypatch.chdir(tmp_path)
    name, *words = shlex.split(command)
    parser = command_line.get_command(Context(command_line), name)
    assert parser is not None
    given = parser.make_context(name, words).params
    written_by_the_reader = "env=rendezvous" in command  # tests/envs/test_environment_example.py has it
    if name != "bandit" and given.get("overrides") and not written_by_the_reader:
        register_resolvers()
        planned_folders(given["overrides"], config_folder(), sweep=False)


def test_a_verb_is_a_word_of_its_own() -> None:
    """`python -m marlpipe VERB`, which replaced a module for each verb."""
    for document in DOCUMENTS:
        assert not re.search(r"python -m marlpipe\.", document.read_text(encoding="utf-8")), relative(document)


def test_documented_options_exist() -> None:
    """A row such as | `algo` | `iql`, `vdn` | has options of its groups in backticks, and nothing else."""
    valid = groups(config_folder())
    rows = re.findall(r"^\| (`[^|]+) \| ([^|]+) \|$", text_of("docs/options.md"), re.MULTILINE)
    checked = 0
    for left, right in rows:
        names = re.findall(r"`(\w+)`", left)
        if names and all(name in valid for name in names):
            checked += 1
            for option in re.findall(r"`(\w+)`", right):
                assert any(option in valid[name] for name in names), f"{left}: {option}"
    assert checked >= 10


def test_the_readme_has_a_row_for_each_entry_of_the_package() -> None:
    rows = re.findall(r"^\| `(\w+)(?:/|\.py)` \| .+ \| .+ \|$", text_of("README.md"), re.MULTILINE)
    assert rows[1:] == [row for row in WALLS if "." not in row]


def test_the_architecture_page_has_the_walls() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| (.+) \|$", text_of("docs/architecture.md"), re.MULTILINE)
    assert {row: set(re.findall(r"`([\w.]+)`", allowed)) for row, allowed in rows} == WALLS


def test_each_deviation_that_is_cited_is_explained() -> None:
    """D1 … D37 and the golden items are rows of docs/deviations.md."""
    cited = re.compile(r"\bD\d{1,2}\b|\b[Gg]olden item \d+")
    rows = {row.lower() for row in re.findall(r"^\| (\w[\w ]*) \|", text_of("docs/deviations.md"), re.MULTILINE)}
    folders = ("marlpipe", "hydra_plugins", "docs", "tests", "conf", "benchmarks")
    files = [file for folder in folders for kind in ("py", "md", "yaml") for file in (ROOT / folder).rglob(f"*.{kind}")]
    for file in files:
        for name in cited.findall(file.read_text(encoding="utf-8")):
            assert name.lower() in rows, f"{relative(file)} cites {name}, which has no row in docs/deviations.md"


def test_the_readmes_example_of_a_new_part_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = text_of("README.md")
    [code] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    [config] = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    [module] = re.findall(r"in `marlpipe/algos/projections/(\w+)\.py`", text)
    written = ModuleType(f"marlpipe.algos.projections.{module}")
    monkeypatch.setitem(sys.modules, written.__name__, written)
    exec(compile(code, f"{module}.py", "exec"), written.__dict__)
    for file in config_folder().rglob("*.yaml"):
        copy = tmp_path / file.relative_to(config_folder())
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "projection" / f"{module}.yaml").write_text(config, encoding="utf-8")
    for algo in ("wqmix", "lomaq"):
        with compose_api(tmp_path):
            run = compose_run([f"algo={algo}", f"projection={module}", "env.time_limit=5"], tmp_path)
        env = build_env(run)
        algorithm = build_algorithm(run, env)
        batch = rollout(env, algorithm.agent, 2, 1.0, torch.Generator().manual_seed(0))
        loss, _ = algorithm.loss(batch, algorithm.reward(batch), torch.Generator())
        assert loss.isfinite()
