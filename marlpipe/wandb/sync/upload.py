"""Hands sessions to `wandb sync`, in a process of its own."""

import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from subprocess import PIPE, STDOUT, Popen
from threading import Thread

from marlpipe.runs.text import printable

SILENCE_S = 300.0  # without a word, it is taken to wait for a server that is gone
DONE = re.compile(r"Finished syncing |ERROR ")


def upload(logs: Sequence[Path], scratch: Path, done: Callable[[], None]) -> list[str]:
    """Returns when W&B has taken the sessions, or has not.

    Args:
        logs: of sessions, each of another run.
        scratch: a folder for what W&B notes down.
        done: called once for each that has been dealt with.

    Returns:
        What W&B complains of. None is no proof that it has all of it.
    """
    if not logs:  # it would look for some by itself
        return []
    environment = {**os.environ, "WANDB_DIR": str(scratch)}
    command = [sys.executable, "-m", "wandb", "sync", *map(str, logs)]
    lines: SimpleQueue[str | None] = SimpleQueue()
    complaints = []
    with Popen(command, stdout=PIPE, stderr=STDOUT, text=True, errors="replace", env=environment) as process:
        reader = Thread(target=_read, args=(process, lines), daemon=True)
        reader.start()
        try:
            while (line := lines.get(timeout=SILENCE_S)) is not None:
                if DONE.search(line):
                    done()
                if (at := line.find("ERROR ")) >= 0:
                    complaints.append(printable(line[at + len("ERROR ") :].strip(), keep=""))
        except Empty:
            complaints.append(f"it has said nothing for {SILENCE_S:.0f} s and was stopped")
        finally:
            process.kill()
            reader.join(timeout=1.0)  # W&B's own process, which notices later, may still hold the pipe
    return complaints


def _read(process: Popen[str], lines: SimpleQueue[str | None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put(None)
