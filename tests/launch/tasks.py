"""What the launcher's tests run: an importable task function, as marlpipe's own is."""

import os
import signal
import time
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig

from marlpipe.errors import UserError

IMPORTED_BY = os.getpid()
IMPORTED_WITH = os.environ.get("OMP_NUM_THREADS")


def folder() -> Path:
    return Path(HydraConfig.get().runtime.output_dir)


def task(config: Any) -> float | None:
    """Does what `config.do` says and leaves traces in the run's folder."""
    print(f"printing do={config.do} seed={config.seed}", flush=True)
    os.system("echo from a child process")
    (folder() / "began").write_text(repr(time.monotonic()))
    (folder() / "threads").write_text(
        f"{os.environ['MARLPIPE_THREADS']} {os.environ['OMP_NUM_THREADS']} {IMPORTED_WITH}"
    )
    (folder() / "imported_by").write_text(f"{IMPORTED_BY} {os.getpid()}")
    (folder() / "command").write_text(os.environ["MARLPIPE_COMMAND"])
    match config.do:
        case "raise":
            raise RuntimeError(f"seed {config.seed} went wrong")
        case "mend":
            raise UserError("no such thing\n  valid: another")
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(7)
        case "wait":
            try:
                (folder() / "waits").write_text("yes")
                time.sleep(60)
            except KeyboardInterrupt:
                (folder() / "saved").write_text("yes")
                raise
        case "stubborn":
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            (folder() / "deaf").write_text("yes")
            time.sleep(60)
        case _:
            time.sleep(0.3)
    (folder() / "ended").write_text(repr(time.monotonic()))
    return 10.0 + config.seed
