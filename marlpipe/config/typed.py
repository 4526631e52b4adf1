"""What a user types behind a verb, read before anything is composed: each word is of use, or is refused by name."""

import importlib.util
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, RangeSweep
from hydra.errors import HydraException

from marlpipe.config.hydra_internals import config_loader
from marlpipe.errors import UserError

OF_HYDRA = ("hydra.launcher", "hydra.sweeper", "hydra/launcher", "hydra/sweeper", "hydra.searchpath")
FOLDERS = ("hydra.run", "hydra.sweep")  # which have one source, paths.runs
MOST_RUNS = 100_000  # of a grid
SEARCHPATH = "hydra.searchpath"
EVALUATING = " while evaluating "  # in Hydra's message about a function
PLAIN = re.compile(r"[\w.+:/\\%@-]*", re.ASCII)  # of a value that needs no quotes


def parse_overrides(overrides: Sequence[str]) -> list[Override]:
    """UserError for what is not of the form key=value."""
    parser, loader = OverridesParser.create(), config_loader()
    typed = []
    for override in overrides:
        try:
            typed.append(parser.parse_override(override))
            typed[-1].config_loader = loader  # which lists the options that a glob matches
        except HydraException as error:
            raise invalid_override(override, str(error).splitlines()[0]) from error
        if not typed[-1].key_or_group:
            raise invalid_override(override, "it has no key")
        check_range(typed[-1])
    return typed


def check_range(override: Override) -> None:
    """UserError for a range without an end."""
    value = override.value()
    if isinstance(value, RangeSweep) and value.step == 0:
        raise UserError(f"{override.input_line} is not possible: its step is zero\n  valid: range(LOW,HIGH,STEP)")


def count_values(override: Override) -> int:
    """How many values a sweep lists; more than MOST_RUNS are not counted to the end."""
    return sum(1 for _ in islice(override.sweep_string_iterator(), MOST_RUNS + 1))


def too_many(what: str) -> UserError:
    """The error for a grid that nobody can wait for."""
    return UserError(f"{what}: more than {MOST_RUNS} runs\n  next: fewer values; a search (docs/search.md) tries some")


def invalid_override(typed: str, reason: str) -> UserError:
    """The error for a text that is no override, with the quotes that would make it one."""
    key, equals, value = typed.partition("=")
    if EVALUATING in reason:
        return UserError(
            f"'{typed}' cannot be evaluated: {reason.partition(EVALUATING)[2].partition(': ')[2]}\n"
            "  valid: choice(1,2), range(0,3), glob(q*), interval(0,1), and the other functions of Hydra's grammar\n"
            f"  next: mend it, or type {shell_quoted(f'{key}={quoted(value)}')}, if the value is text"
        )
    if equals and not PLAIN.fullmatch(value) and "\n" not in value:
        for kind, proposed in (("a list of texts", each_quoted(value)), ("text", quoted(value))):
            if proposed and is_override(f"{key}={proposed}"):
                return UserError(
                    f"'{typed}' needs quotes: {reason}\n"
                    "  valid: letters without accents, digits and -_./:%+@ as they are\n"
                    f"  next: type {shell_quoted(f'{key}={proposed}')}, if the value is {kind}"
                )
    return UserError(
        f"'{typed}' is no override: {reason}\n"
        "  valid: key=value, group=option, or +key=value for a new key\n  next: see --help"
    )


def is_override(text: str) -> bool:
    """Whether Hydra's grammar accepts it."""
    try:
        return bool(OverridesParser.create().parse_override(text).key_or_group)
    except HydraException:
        return False


def quoted(value: str) -> str:
    """A text as Hydra's grammar has it in quotes."""
    bare = value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value
    escaped = re.sub(r'(\\*)(")', r"\1\1\\\2", bare)
    return f'"{escaped}"'


def each_quoted(value: str) -> str | None:
    """A list of texts, `[a b, ~/c]`, as Hydra's grammar has it in quotes; None for what is no list."""
    if not (value.startswith("[") and value.endswith("]")):
        return None
    return f"[{','.join(quoted(part.strip()) for part in value[1:-1].split(','))}]"


def shell_quoted(text: str) -> str:
    """In single quotes for a shell."""
    return "'" + text.replace("'", "'\\''") + "'"


def check_typed(overrides: Sequence[str]) -> None:
    """UserError for a word that would be ignored: a key of Hydra that nothing follows, a folder that is not there."""
    typed = parse_overrides(overrides)
    for override in typed:
        check_of_hydra(override)
    for path in searchpath(typed):
        search_folder(path)


def check_of_hydra(override: Override) -> None:
    """UserError for a part of Hydra's own config that marlpipe does not follow."""
    key = override.key_or_group.split("@")[0]
    own = key in ("hydra", "_self_") or key.startswith(("hydra.", "hydra/"))
    known = any(key == one or key.startswith(f"{one}.") for one in OF_HYDRA)
    if own and (not known or override.is_delete()):
        folder = key.startswith(FOLDERS) and not key.startswith("hydra.sweeper")
        raise UserError(
            f"{override.input_line} is not possible: marlpipe has no use for this key of Hydra.\n"
            f"  valid: {', '.join(OF_HYDRA)}\n  next: "
            + ("paths.runs=FOLDER says where runs go" if folder else "leave it out; see --help")
        )


def searchpath(typed: Sequence[Override]) -> list[str]:
    """The places of configs that were typed, in addition to marlpipe's own. UserError for what is no list of texts."""
    places: list[str] = []
    for override in typed:
        if override.key_or_group == SEARCHPATH:
            value = override.value()
            if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
                raise UserError(
                    f"{override.input_line} is not possible.\n  valid: a list of folders, {SEARCHPATH}=[conf]\n"
                    "  next: --config-dir FOLDER is shorter"
                )
            places += [str(one) for one in value]
    return places


def with_one_searchpath(overrides: Sequence[str], folders: Sequence[Path] = ()) -> list[str]:
    """Overrides with all places of configs, of --config-dir too, in one list: Hydra follows the first list alone."""
    typed = parse_overrides(overrides)
    places = [*searchpath(typed), *(f"file://{folder.absolute()}" for folder in folders)]
    others = [text for text, override in zip(overrides, typed, strict=True) if override.key_or_group != SEARCHPATH]
    return [*others, f"{SEARCHPATH}=[{','.join(map(quoted, places))}]"] if places else others


def search_folder(path: str) -> Path:
    """The folder behind a place of configs. UserError where there is none."""
    scheme, separator, rest = path.partition("://")
    if path == "":
        raise UserError("the name of a folder of configs is empty; is a variable of the shell not set?")
    if separator and scheme == "pkg":
        module = rest.replace("/", ".")
        spec = importlib.util.find_spec(module) if importlib.util.find_spec(module.split(".")[0]) else None
        places = list(spec.submodule_search_locations or []) if spec else []
        found = Path(places[0]) if places else None
    else:
        found = Path(rest if separator and scheme == "file" else path)
    if found is None or not found.is_dir():
        raise UserError(
            f"there is no folder of configs {path.removeprefix('file://')}\n"
            "  valid: a folder with group/option.yaml in it, as --config-dir FOLDER or hydra.searchpath=[FOLDER]"
        )
    return found
