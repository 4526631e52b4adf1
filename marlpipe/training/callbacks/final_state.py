"""The final state of a finished run: its parameters, and hashes that show whether two runs are equal."""

from typing import cast

from lightning import Callback, LightningModule, Trainer

from marlpipe.runs.files import write_json
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.metrics import WALL_CLOCK_METRICS
from marlpipe.training.checkpoints import save
from marlpipe.training.fingerprint import fingerprint
from marlpipe.training.generators import generator_states
from marlpipe.training.learner import Learner
from marlpipe.training.loaders import TrainingLoader

NOT_OURS = {"python"}  # marlpipe draws nothing from it, but run-time type checkers do


class FinalState(Callback):
    """Writes `final.pt` and `fingerprint.json` when the training is over."""

    def __init__(self, *, folder: RunFolder) -> None:
        self.folder = folder

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        learner, training = cast(Learner, pl_module), cast(TrainingLoader, trainer.train_dataloader)
        if not training.progress.finished:
            return
        parameters, collected = learner.algorithm.state_dict(), training.state_dict()
        save({"algorithm": parameters, "env_steps": training.progress.env_steps}, self.folder.final_state)
        drawn_from = {name: state for name, state in generator_states().items() if name not in NOT_OURS}
        rows = [{name: row[name] for name in row.keys() - WALL_CLOCK_METRICS} for row in self.folder.read_metrics()]
        write_json(
            self.folder.fingerprint,
            {
                "parameters": fingerprint(parameters),
                "optimizers": fingerprint([optimizer.state_dict() for optimizer in trainer.optimizers]),
                "replay": fingerprint(collected["replay"]),
                "generators": fingerprint([collected["generator"], drawn_from]),
                "schedules": fingerprint(
                    [collected["gradient_steps"], collected["progress"], learner.synced_at_episode]
                ),
                "metrics": fingerprint(rows),
                "tables": fingerprint(self.folder.read_tables()),
            },
        )
