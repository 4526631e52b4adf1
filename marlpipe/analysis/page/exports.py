"""Exports for other tools: marl-eval's JSON, and arrays in the shape that rliable reads."""

import io
import json
from collections.abc import Iterator

import numpy as np

from marlpipe.analysis.arms import by_env
from marlpipe.analysis.page.comparison import Comparison
from marlpipe.analysis.page.marl_eval import marl_eval_export

NOTES = "exports.txt"


def exports(comparison: Comparison) -> dict[str, bytes]:
    """The content of each file, by file name; `exports.txt` lists what the others leave out."""
    export = marl_eval_export(by_env([one.run for one in comparison.found if one.run is not None]))
    messages = {"marl_eval.json": export.messages}
    files = {"marl_eval.json": json.dumps(export.data, allow_nan=False).encode()}
    if comparison.tasks.tasks:
        cut: list[str] = []
        files["scores.npz"] = _scores(comparison, cut)
        messages["scores.npz"] = (*comparison.tasks.messages, *cut)
    notes = [f"{file}: {message}\n" for file, own in messages.items() for message in own]
    return files | {NOTES: "".join(notes).encode()}


def _scores(comparison: Comparison, said: list[str]) -> bytes:
    """An NPZ file of normalised scores: an array (runs, tasks) "scores/ARM" per arm, and the task names "tasks"."""
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, tasks=np.array(comparison.tasks.tasks), **dict(_matrices(comparison, said)))
    return file.getvalue()


def _matrices(comparison: Comparison, said: list[str]) -> Iterator[tuple[str, np.ndarray]]:
    for arm, scores in comparison.tasks.scores.items():
        fewest = min(map(len, scores.values()))
        dropped = sum(len(runs) - fewest for runs in scores.values())
        if dropped:
            said.append(
                f"{arm}: the first {fewest} runs of each task, {dropped} left out, since tasks differ in their"
                " number of runs."
            )
        yield f"scores/{arm}", np.stack([scores[task][:fewest] for task in comparison.tasks.tasks], axis=1)
