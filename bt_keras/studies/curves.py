"""The losses of several runs during their training, side by side."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bt_keras.evaluation.tables import table
from bt_keras.files import log_file
from bt_keras.workdir import Workdir

# The most epochs whose losses are shown.
_EPOCHS = 6


def loss_table(workdirs: Mapping[str, Workdir]) -> str:
    """Lays out the losses after at most six epochs, evenly spaced over the longest run.

    Args:
        workdirs: Dict from the names of runs to their `bt_keras.workdir.Workdir`s.

    Returns:
        String, a table with a line for each run; `""` if no run has losses.
    """
    curves = {}
    for name, workdir in workdirs.items():
        log = log_file.read(workdir.log_file)
        rows = log.rows() if log else []
        curves[name] = {int(r["epoch"]) + 1: r["loss"] for r in rows if "loss" in r}
    epochs = np.array(sorted({epoch for curve in curves.values() for epoch in curve}))
    if not len(epochs):
        return ""
    shown = np.linspace(0, len(epochs) - 1, min(len(epochs), _EPOCHS)).round()
    chosen = epochs[shown.astype(int)].tolist()
    lines = [
        (name, *(f"{curve[e]:.4g}" if e in curve else "" for e in chosen))
        for name, curve in curves.items()
    ]
    return table(("run, loss after epoch", *map(str, chosen)), lines)
