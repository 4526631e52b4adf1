"""What a person can do about runs that will not finish by themselves."""

import re
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from marlpipe.runs.standing import RunStanding
from marlpipe.runs.text import printable

ENDED_EARLY = {"failed", "interrupted", "lost"}
MODULE = re.compile(r"marlpipe(\.\w+)*", re.ASCII)


def missing(looks: Sequence[RunStanding]) -> list[RunStanding]:
    """The runs that somebody has to start again.

    One that waits for no cluster waits for the process that starts the runs of its grid; where nothing is known of that
    one, it is taken to live as long as any run is trained.
    """
    orphaned = {"queued"} if all(look.state != "running" for look in looks) else set()
    return [
        look
        for look in looks
        if look.state in ENDED_EARLY
        or (look.state in orphaned and look.records.submitted is None and look.records.grid_lives is None)
    ]


def commands(looks: Sequence[RunStanding]) -> list[str]:
    """What starts them, each command once, that of most runs first; none where the folders do not tell."""
    typed = Counter(look.records.command for look in looks if look.records.command)
    found = [pasteable(command) for command, _ in typed.most_common()]
    return list(dict.fromkeys(command for command in found if command))


def pasteable(command: str) -> str | None:
    """A command of ours that does nothing else in whatever shell, also if a stranger wrote it; None for any other."""
    try:
        words = shlex.split(printable(command, keep=""))
    except ValueError:
        return None
    for at, word in enumerate(words):
        if at and words[at - 1] == "-m" and MODULE.fullmatch(word):
            return f"python -m {shlex.join(words[at:])}"
        if Path(word).name == "marlpipe" and at < 2:  # the installed program, with or without its interpreter
            return shlex.join(["python", "-m", "marlpipe", *words[at + 1 :]])
    return None
