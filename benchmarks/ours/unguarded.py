"""The step that `fit` runs, without its guard against non-finite values.

The only side that uses private API: the guard cannot be disabled otherwise.
"""

from benchmarks import side
from benchmarks.ours import step
from bt_keras.model import step as model_step


def prepare(case):
    traced = []

    def unguarded(gradients, logs, loss_scale=None):
        del loss_scale
        traced.append(True)
        return gradients, logs

    model_step.mask_nonfinite = unguarded
    work = step.prepare(case)
    # Otherwise, the guard would be compared with itself.
    if not traced:
        raise RuntimeError("the step does not use `bt_keras.model.step.mask_nonfinite`")
    return work


if __name__ == "__main__":
    side.serve(prepare)
