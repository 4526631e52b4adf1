"""The help without a verb: how to train, the verbs, and every group with its options."""

import re
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path

import click

from marlpipe.config.folder import config_folder, groups

EXAMPLES = (
    ("one run", "marlpipe algo=lomaq env=cartpole"),
    ("a grid, on all cores", "marlpipe -m algo=qpro,wqmix,qmix env=cartpole seed=0,1,2"),
    ("another part", "marlpipe -m algo=lomaq partition=singletons,pairs,full"),
    ("other values", "marlpipe algo=qmix profile.batch_episodes=64 env.n_agents=5"),
    ("a figure of a paper", "marlpipe -m +experiment=lomaq/fig5_cartpole"),
    ("all keys of a config", "marlpipe algo=qmix --cfg job"),
    ("only a part of it", "marlpipe algo=qmix --cfg job --package profile, with --resolve for what ${…} stands for"),
    ("where it comes from", "marlpipe algo=qmix --info defaults, or one of its other words"),
    ("options of your own", "marlpipe --config-dir FOLDER env=mine, for FOLDER/env/mine.yaml"),
)
COMPLETION = (
    ("bash", 'eval "$(_MARLPIPE_COMPLETE=bash_source marlpipe)"'),
    ("zsh", 'eval "$(_MARLPIPE_COMPLETE=zsh_source marlpipe)"'),
    ("fish", "_MARLPIPE_COMPLETE=fish_source marlpipe | source"),
)
INTRODUCTION = """\
Cooperative value-factorization MARL, from one run to a grid on a cluster. Without a verb, it trains. \
`python -m marlpipe` is the same as `marlpipe`; `marlpipe VERB --help` says more about a verb."""


def write_overview(formatter: click.HelpFormatter, verbs: Mapping[str, str]) -> None:
    """Writes all of it.

    Args:
        verbs: each with one line about it.
    """
    formatter.write_usage("marlpipe", "[-m] [OVERRIDES…]")
    formatter.write_usage("marlpipe", "VERB …", prefix="       ")
    formatter.write_paragraph()
    formatter.write_text(INTRODUCTION)
    for heading, rows in (
        ("Verbs", list(verbs.items())),
        ("Training", list(EXAMPLES)),
        ("Completion, with one line in the shell's own file", list(COMPLETION)),
    ):
        with formatter.section(heading):
            formatter.write_dl(rows)
    formatter.write_paragraph()
    formatter.write_text("Groups and their options, chosen by GROUP=OPTION, or +GROUP=OPTION where none is preset:")
    folder = config_folder()
    for group, options in groups(folder).items():
        own = [option for option in options if "/" not in option]
        if own:
            with formatter.section(group):
                formatter.write_dl([(option, first_sentence(folder / group / f"{option}.yaml")) for option in own])


def first_sentence(file: Path) -> str:
    """The first sentence of the comment at the head of a YAML file."""
    lines = takewhile(lambda line: line.startswith("#"), file.read_text(encoding="utf-8").splitlines())
    comment = " ".join(line[1:].strip() for line in lines if not line.startswith("# @package"))
    return re.split(r"(?<=\.)(?<!App\.) (?=[A-Z])", comment)[0]
