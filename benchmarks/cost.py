"""The paper's run on ImageNet on 8 to 1024 accelerators: its time, on paper.

python -m benchmarks.cost

Nothing is trained. Operations and bytes are those of `bt-keras plan`; the speed of an
accelerator, the bandwidth and the latency are arguments. Computation and collectives do
not overlap, so the real step is shorter where a framework overlaps them; the speed of
the convolutions does not depend on the batch of a replica, so it is longer where that
batch is small.
"""

import argparse
import dataclasses

from benchmarks import machine, options, table

_BATCH = 2048
_EPOCHS = 1000
_IMAGES = 1_281_167
_TRILLION = 1e12
_HOUR = 3600
_ACCELERATORS = [2**power for power in range(3, 11)]
# Collectives of a batch norm: forward, backward, for each view.
_OF_BATCH_NORM = 4
# The gather of both embeddings and the sums of means, and the gradients.
_OTHERS = 4


def main():
    values = _parser().parse_args()
    machine.describe()
    from bt_keras.plan import flops, traffic

    model, network = _model(values)
    width, layers = model.projector.output_shape[-1], _batch_norms(model)
    of_loss = flops.of_loss(values.batch, width, "gram", strips=False)
    steps = values.epochs * (_IMAGES // values.batch)
    total = steps * (network + of_loss)
    print(
        f"{values.epochs} epochs of {_IMAGES // values.batch} steps of {values.batch} "
        f"images: {total / 1e18:.1f} EFLOP, {network / 1e12:.1f} TFLOP a step in the "
        f"network and {of_loss / 1e12:.2f} in the loss; {layers} batch norms.\n"
        f"An accelerator sustains {values.tflops:g} TFLOP/s in the network and "
        f"{values.loss_tflops:g} in the loss, and sends {values.bandwidth:g} GB/s; a "
        f"collective starts in {values.latency:g} us.\n"
    )
    names = "network,loss,gather of the loss,batch norm,gradients,latency,step"
    columns = [
        "accelerators",
        "images of each",
        *(f"{n}, ms" for n in names.split(",")),
    ]
    columns += ["hours", "accelerator hours", "efficiency"]
    table.line(columns)
    table.line(["---"] * len(columns))
    for count in _ACCELERATORS:
        if values.batch // count < 2:
            break
        sent = traffic.of_step(model, values.batch // count, width, "gram")
        parts = {
            "network": network / count / values.tflops / _TRILLION,
            "loss": of_loss / count / values.loss_tflops / _TRILLION,
            **_seconds(sent, count, values.bandwidth),
            "latency": (_OF_BATCH_NORM * layers + _OTHERS) * values.latency / 1e6,
        }
        step = sum(parts.values())
        hours = steps * step / _HOUR
        cells = [f"{1e3 * seconds:.2f}" for seconds in (*parts.values(), step)]
        efficiency = (parts["network"] + parts["loss"]) / step
        cells += [f"{hours:.1f}", f"{hours * count:,.0f}", f"{efficiency:.0%}"]
        table.line([count, values.batch // count, *cells])


def _parser():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    number = options.positive(float)
    add = parser.add_argument
    add("--batch", type=options.positive(int), default=_BATCH, help="global batch")
    add("--epochs", type=options.positive(int), default=_EPOCHS)
    add("--tflops", type=number, default=157.0, help="of an accelerator, network")
    add("--loss_tflops", type=number, default=365.0, help="of an accelerator, loss")
    add("--bandwidth", type=number, default=50.0, help="GB/s that it sends")
    add("--latency", type=number, default=20.0, help="us of a collective")
    add("--quick", action="store_true", help="check that it runs: a tiny network")
    return parser


def _model(values):
    """Returns the model of configs/default.py and the operations of its network."""
    import tensorflow as tf

    from bt_keras import config as config_lib
    from bt_keras.plan import step_cost
    from bt_keras.training import setup

    config = config_lib.default()
    if values.quick:
        config.backbone.depth, config.backbone.width = 18, 0.125
        config.views.size, config.projector = 32, (64, 64)
    model = setup.new_model(config, steps_per_epoch=_IMAGES // values.batch)
    view = tf.TensorSpec((2, config.views.size, config.views.size, 3))
    cost = step_cost.of_step(model, view, 1, config.projector[-1], None)
    return model, cost.flops / 2 * values.batch


def _batch_norms(model):
    return sum(v.name == "moving_mean" for v in model.non_trainable_variables)


def _seconds(sent, count, bandwidth):
    """Returns the seconds of each kind of collective, in rings."""
    names = ("loss_gathered", "loss_reduced", "batch_norm", "gradients")
    nothing = dataclasses.replace(sent, **dict.fromkeys(names, 0))

    def seconds(*kept):
        part = dataclasses.replace(nothing, **{n: getattr(sent, n) for n in kept})
        return part.bytes_sent(count) / bandwidth / 1e9

    return {
        "gather": seconds("loss_gathered", "loss_reduced"),
        "batch_norm": seconds("batch_norm"),
        "gradients": seconds("gradients"),
    }


if __name__ == "__main__":
    main()
