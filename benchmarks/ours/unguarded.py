"""The step that `fit` runs, without its guard against what is not finite.

The only side that is not of the public API: nobody should train like that.
"""

from benchmarks import side
from benchmarks.ours import step
from bt_keras.model import barlow_twins


def prepare(case):
    traced = []

    def unguarded(gradients, logs, loss_scale=None):
        del loss_scale
        traced.append(True)
        return gradients, logs

    barlow_twins.mask_nonfinite = unguarded
    work = step.prepare(case)
    # It would otherwise measure the guard against itself.
    if not traced:
        raise RuntimeError(
            "the step does not look up `bt_keras.model.barlow_twins.mask_nonfinite`"
        )
    return work


if __name__ == "__main__":
    side.serve(prepare)
