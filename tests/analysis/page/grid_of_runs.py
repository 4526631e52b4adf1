"""Run folders as a grid of trainings would leave them, with curves that are made up.

python tests/analysis/page/grid_of_runs.py FOLDER [ENVS ARMS SEEDS EVALUATIONS] writes such a grid, to look at its page.
"""

import json
import struct
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from marlpipe.runs.files import write_json
from marlpipe.runs.folder import RunFolder

ARMS = ("qpro", "wqmix", "qmix", "vdn", "iql", "lomaq partition=pairs", "qplex", "resq", "dop", "pac")
ENVS = ("cartpole", "payoff", "predator_prey", "navigation", "coverage")
CONFIG = """\
seed: {seed}
env_steps: {env_steps}
threads: null
env:
  _target_: marlpipe.envs.{env}.World
  n_agents: 4
  team_payoffs: [[220.0, 20.0], [20.0, -180.0]]
  horizon: 1
agent:
  hidden: 64
mixer:
  _target_: marlpipe.models.mixers.{arm}
exploration:
  anneal: {anneal}
profile:
  batch_episodes: 32
  learning_rate: {learning_rate}
"""


def write_run(
    root: Path,
    env: str,
    arm: str,
    seed: int,
    returns: Sequence[float],
    *,
    every: int = 1000,
    learning_rate: float = 0.001,
    total: int | None = None,
    commit: str = "732cca68460a128c82d7e31bead3760803cdda36",
    **status: Any,
) -> RunFolder:
    """One run, evaluated every so many env steps; NaN is written as null."""
    algo = arm.split()[0]
    folder = RunFolder(root / env / f"{algo}-{zlib.crc32(arm.encode()):08x}" / f"seed={seed}").create()
    total = every * max(1, len(returns) - 1) if total is None else total
    config = CONFIG.format(
        seed=seed, env_steps=total, env=env, arm=algo, anneal=total // 2, learning_rate=learning_rate
    )
    folder.config.write_text(config)
    write_json(
        folder.run,
        {
            "command": f"python -m marlpipe -m algo={algo} env={env} seed=0,1,2,3,4",
            "label": arm,
            "seed": seed,
            "arm": f"{zlib.crc32(arm.encode()):08x}",
            "choices": {"env": env, "algo": algo, "mixer": algo, "exploration": "linear"},
            "overrides": [f"algo={algo}", *arm.split()[1:], f"env={env}", f"seed={seed}"],
            "git": {"commit": commit, "dirty": False, "diff": None},
        },
    )
    speed = 400 + 100 * (zlib.crc32(arm.encode()) % 7)
    rows = []
    for number, value in enumerate(returns):
        clock = {"env_steps": number * every, "gradient_steps": number * every // 40, "wall_s": number * every / speed}
        rows.append({**clock, "train/loss": 1.0, "train/td_loss": 1.0, "rollout/return": 0.5, "train/target": 0.25})
        told = None if np.isnan(value) else float(value)
        rows.append({**clock, "eval/return_mean": told, "eval/return_std": 0.5, "eval/length_mean": 10.0})
    folder.metrics.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    ended = {"state": "finished", "env_steps": every * max(0, len(returns) - 1), "total_env_steps": total}
    last = next((float(value) for value in reversed(returns) if np.isfinite(value)), None)
    numbers = {"eval_return": last, "env_steps_per_s": float(speed), "wall_s": len(returns) * every / speed}
    folder.update_status(**{**ended, **numbers, **status})
    return folder


def curve(generator: np.random.Generator, height: float, evaluations: int) -> np.ndarray:
    """Slow, then fast, then level, with the noise of evaluations; runs differ in when and how high."""
    when, top = generator.normal(0.35, 0.08), height * generator.normal(1.0, 0.08)
    x = np.linspace(0, 1, evaluations)
    return 20 + top / (1 + np.exp(-14 * (x - when))) + generator.normal(0, height * 0.03, evaluations)


def write_grid(root: Path, envs: int = 2, arms: int = 4, seeds: int = 6, evaluations: int = 60) -> None:
    """A grid in which everything went well."""
    generator = np.random.default_rng(0)
    for world in range(envs):
        env = ENVS[world] if world < len(ENVS) else f"world_{world}"
        for method in range(arms):
            arm = ARMS[method] if method < len(ARMS) else f"qmix agent.hidden={method}"
            height = 180 / (1 + 0.25 * method) * generator.uniform(0.8, 1.2)
            for seed in range(seeds):
                write_run(root, env, arm, seed, curve(generator, height, evaluations).tolist())


def write_troubles(root: Path, env: str = "cartpole") -> None:
    """What a real grid has too: runs that failed, that were killed, that go on, and that are broken."""
    generator = np.random.default_rng(1)
    whole = curve(generator, 120, 60).tolist()
    broken = [*whole[:20], float("nan"), float("nan"), *whole[22:]]
    write_run(root, env, "qtran", 0, broken)
    write_run(root, env, "qtran", 1, whole, total=80_000)
    write_run(root, env, "qtran", 2, whole[:30], state="failed", reason="RuntimeError: the loss is not finite\n  see")
    write_run(root, env, "qtran", 3, whole[:10], state="running", total=59_000)
    write_run(root, env, "graphmix", 0, whole[:40], state="interrupted", reason="SIGUSR2", learning_rate=0.01)
    write_run(root, env, "graphmix", 1, [], state="queued")
    write_run(root, env, "ow_qmix", 0, whole).metrics.write_text('{"env_steps": 0, \n{"broken\n')
    write_run(root, env, "cw_qmix", 0, whole[:12], commit="0123456789" * 4)
    figures = write_run(root, env, "cw_qmix", 1, whole).path / "figures"
    figures.mkdir()
    (figures / "values.png").write_bytes(png(120, 60))


def png(width: int, height: int) -> bytes:
    """A small picture of stripes."""
    rows = b"".join(
        b"\0" + bytes((x * 2 % 256, y * 4 % 256, 120)[c] for x in range(width) for c in range(3)) for y in range(height)
    )
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    chunks = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


if __name__ == "__main__":
    write_grid(Path(sys.argv[1]), *map(int, sys.argv[2:]))
    write_troubles(Path(sys.argv[1]))
