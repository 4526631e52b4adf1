"""The folder of a run, ROOT/ENV/ALGO-HASH/seed=SEED, as a value."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

FORM = re.compile(r"(?P<algo>.+)-(?P<arm>[0-9a-f]+)")  # of an arm's folder
SEED = re.compile(r"seed=(?P<seed>[0-9]{1,9})")


@dataclass(frozen=True, kw_only=True)
class RunPath:
    """Where a run lies: below a root, named after its world, its algorithm, the hash of its config, and its seed."""

    root: Path
    env: str
    algo: str
    arm: str  # eight hexadecimal digits that all seeds of an arm share
    seed: int

    @property
    def name(self) -> str:
        """ENV/ALGO-HASH/seed=SEED."""
        return f"{self.env}/{self.algo}-{self.arm}/seed={self.seed}"

    @property
    def folder(self) -> Path:
        """With its root."""
        return self.root / self.name

    def sibling(self, seed: int) -> "RunPath":
        """The same arm with another seed."""
        return replace(self, seed=seed)

    @classmethod
    def parse(cls, folder: Path) -> "RunPath | None":
        """Takes a folder's path apart; None for a folder that has another form, as one that was renamed."""
        if len(folder.parts) < 3:
            return None
        env, arm, seed = folder.parts[-3:]
        named, seeded = FORM.fullmatch(arm), SEED.fullmatch(seed)
        if not named or not seeded:
            return None
        return cls(root=folder.parents[2], env=env, algo=named["algo"], arm=named["arm"], seed=int(seeded["seed"]))


def short_name(folder: Path) -> str:
    """The end of a folder's path by which a person recognises the run: its last three parts."""
    return "/".join(folder.relative_to(folder.anchor).parts[-3:])
