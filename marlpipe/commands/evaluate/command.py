"""`marlpipe evaluate`: best policies play again."""

from pathlib import Path

import click

from marlpipe.commands.command_line.completion import complete_folders
from marlpipe.commands.command_line.parameters import EPISODES, Folder, Number, OneOf, device, runs_here
from marlpipe.commands.command_line.verb import verb
from marlpipe.errors import Bound, UserError
from marlpipe.runs.find import RUN_FILES, run_at

OF_ONE_RUN = ("epsilon", "video", "form", "film", "fps")


@verb()
@click.argument("folder", metavar="[FOLDER]", required=False, type=Folder(), shell_complete=complete_folders)
@click.option("--episodes", type=Number(EPISODES), help="How many.")
@click.option("--seed", type=Number(Bound(0, 2**20)), default=0, show_default=True, help="Of worlds and exploration.")
@click.option("--epsilon", type=Number(Bound(0, 1, integer=False)), help="The probability of a random action.")
@click.option("--video", is_flag=True, help="Film the first episode, as MP4, or as GIF where MP4 cannot be written.")
@click.option("--format", "form", type=OneOf(("mp4", "gif", "png")), help="Of the film; png is the time step halfway.")
@click.option("--film", type=Number(EPISODES), help="How many episodes to film, from the first on.")
@click.option("--fps", type=Number(Bound(0.1, 100, integer=False)), help="Frames per second of the film.")
@device()
@click.pass_context
def command(
    context: click.Context,
    folder: Path | None,
    episodes: int | None,
    seed: int,
    epsilon: float | None,
    video: bool,
    form: str | None,
    film: int | None,
    fps: float | None,
    device: str,
) -> int:
    """Lets best policies play again: how good they are.

    FOLDER is that of one run, multirun/ENV/ALGO-HASH/seed=SEED, finished or not: its best policy plays as many episodes
    as in the run's own evaluations. FOLDER/evaluation/ gets episodes.csv, and the films. The longest possible episode
    takes about 8 s in a film unless --fps says otherwise.

    Or FOLDER is above runs, multirun/ if not given: the best policies of all finished runs in it play ten times the
    episodes of an evaluation. That is the absolute metric, which `marlpipe compare` shows. A run that was measured in
    the same way before is not measured again.

    Under one seed, all policies start in the same worlds.

    \b
    Exit status: 0 if all was measured, 1 if not every run could be, 2 if there
    is no such run, option or device.
    """
    path = folder or runs_here(context)
    if path.is_dir() and not any((path / name).exists() for name in (*RUN_FILES, "config.yaml")):
        if given := [name for name in OF_ONE_RUN if context.params[name]]:
            names = ", ".join(f"--{'format' if name == 'form' else name}" for name in given)
            raise UserError(
                f"{path} is not the folder of one run, which {names} needs.\n  valid: --episodes, --seed, --device"
            )
        return _measure_all(path, episodes, seed, device)
    run_at(path)  # before torch is loaded, which takes seconds
    from marlpipe.commands.evaluate.play_again import Playing, play_again

    filmed = (film or 1) if video or form or film or fps else 0
    how = Playing(episodes=episodes, seed=seed, epsilon=epsilon or 0.0, film=filmed, form=form, fps=fps, device=device)
    return play_again(path, how)


def _measure_all(root: Path, episodes: int | None, seed: int, device: str) -> int:
    from marlpipe.commands.command_line.device import usable
    from marlpipe.commands.evaluate.measure_all import measure_all
    from marlpipe.runs.terminal import progress_bar

    with progress_bar() as bar:
        measuring = bar.add_task("best policies", total=None)
        files, refused = measure_all(
            root,
            episodes=episodes,
            seed=seed,
            device=usable(device),
            advance=lambda done, total: bar.update(measuring, completed=done, total=total),
        )
    failures = f", {len(refused)} could not be measured" if refused else ""
    print(f"{len(files)} best policies measured{failures}\nnext: marlpipe compare {root}")
    return 1 if refused else 0
