"""`python -m marlpipe VERB …`: a command of marlpipe/commands/; without a verb, it trains."""

import gc
import importlib
import os
import sys
from pathlib import Path

# before torch is loaded: on a machine that others use too, threads that wait by spinning cost an order of magnitude
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
gc.disable()  # almost nothing that an import makes is garbage, and looking for it costs a tenth of the start

from marlpipe.commands.command_line import exit_with  # noqa: E402


def main() -> None:
    """Runs the command line and exits, as `ending` says."""
    folder = Path(__file__).parent / "commands"
    verbs = {file.stem for file in folder.iterdir() if not file.stem.startswith("_")} - {"command_line", "train"}
    verb = sys.argv.pop(1) if sys.argv[1:] and sys.argv[1] in verbs else "train"
    name = f"marlpipe.commands.{verb}"
    command = importlib.import_module(f"{name}.command" if (folder / verb).is_dir() else name)
    gc.freeze()
    gc.enable()
    exit_with(command.run, stopped="The same command goes on where it left off." if verb == "train" else "")


if __name__ == "__main__":
    main()
