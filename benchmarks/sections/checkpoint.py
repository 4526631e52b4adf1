"""Saving and loading a checkpoint with a full replay, as runs do it, relative to plain writes and reads."""

from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measurement import Measurement, Section, seconds
from benchmarks.tasks import AGENTS, REPLAY, STEPS, built, empty_replay, full_replay, on_carts
from marlpipe.algos.algorithm import Algorithm
from marlpipe.training.checkpoints import WholeCheckpoints
from marlpipe.training.replay import Replay

WRITE, READ = "plain write", "plain read"


def section() -> Section:
    """Seconds and bytes."""
    files = Files()
    return Section(
        f"checkpoint with {REPLAY} episodes of {AGENTS} carts, {STEPS} env steps each",
        {
            "save": Measurement(partial(seconds, files.save), {WRITE: WRITE}),
            WRITE: Measurement(partial(seconds, files.write)),
            "load": Measurement(partial(seconds, files.load), {READ: READ}),
            READ: Measurement(partial(seconds, files.read)),
            "size": Measurement(lambda: float(files.checkpoint.stat().st_size), unit="B"),
        },
        rounds=5,
    )


class Files:
    """A checkpoint and a plain file of the same size, made when first needed, and removed with the process."""

    @cached_property
    def folder(self) -> TemporaryDirectory[str]:
        return TemporaryDirectory()

    @property
    def checkpoint(self) -> Path:
        return Path(self.folder.name) / "last.ckpt"

    @property
    def plain(self) -> Path:
        return Path(self.folder.name) / "plain"

    @cached_property
    def algorithm(self) -> Algorithm:
        return built(on_carts("qmix"))

    @cached_property
    def replay(self) -> Replay:
        return full_replay()

    @cached_property
    def content(self) -> bytes:
        return self.checkpoint.read_bytes()

    def save(self) -> None:
        state = {"replay": self.replay.state_dict(), "state_dict": self.algorithm.state_dict()}
        WholeCheckpoints().save_checkpoint(state, self.checkpoint)

    def load(self) -> None:
        """Into a new replay, as a resumed run has one."""
        state = WholeCheckpoints().load_checkpoint(self.checkpoint, weights_only=True)
        self.algorithm.load_state_dict(state["state_dict"])
        replay = empty_replay()
        replay.load_state_dict(state["replay"])

    def write(self) -> None:
        self.plain.write_bytes(self.content)

    def read(self) -> None:
        self.plain.read_bytes()
