"""Four training steps of the published algorithm, recorded in detail."""

import numpy as np
import torch
from compare import deviation, fingerprint, nchw
from official import BarlowTwins, Lars, load
from torch import nn
from weights import barlow_twins_state, image_pair

STEPS = 4
LAMBDA = 0.0051
WEIGHT_DECAY = 1e-6
PEAKS = (0.2, 0.0048)  # Weights, biases and norms, for a batch of 256.

# Leading corner of every parameter's update that is recorded, () for the whole.
UPDATES = {
    "backbone.conv1.weight": (),
    "backbone.bn1.bias": (),
    "backbone.layer1.0.{norm}.weight": (),
    "backbone.layer2.0.downsample.0.weight": (32, 64),
    "backbone.{block}.conv2.weight": (8, 64),
    "projector.0.weight": (8,),
    "projector.1.weight": (),
    "projector.6.weight": (),
}
BUFFERS = (
    "backbone.bn1.running_mean",
    "backbone.bn1.running_var",
    "backbone.layer2.0.downsample.1.running_var",
    "backbone.{block}.{norm}.running_mean",
    "backbone.{block}.{norm}.running_var",
    "projector.1.running_mean",
    "projector.4.running_var",
    "bn.running_mean",
    "bn.running_var",
)


def run(depth, state, projector, pairs, rates, dtype):
    """Trains at constant rates; returns (losses, first gradients, final state)."""
    model = load(BarlowTwins(depth, projector), state, dtype).train()
    margins = watch_relus(model.projector)
    parameters = dict(model.named_parameters())
    weights = [p for p in parameters.values() if p.ndim > 1]
    biases = [p for p in parameters.values() if p.ndim == 1]
    optimizer = Lars(weights, biases, WEIGHT_DECAY)
    losses = {"loss": [], "invariance": [], "redundancy": []}
    gradients = None
    for pair in pairs:
        invariance, redundancy = model(*(nchw(view, dtype) for view in pair))
        loss = invariance + LAMBDA * redundancy
        optimizer.zero_grad()
        loss.backward()
        if gradients is None:
            gradients = {n: p.grad.numpy().copy() for n, p in parameters.items()}
        optimizer.step(rates)
        for name, value in zip(losses, (loss, invariance, redundancy), strict=True):
            losses[name].append(value.item())
    losses["relu_margin"] = min(margins)
    final = {n: v.detach().numpy() for n, v in model.state_dict().items()}
    return losses, gradients, final


def watch_relus(layers):
    """Returns a list to which every call of a ReLU appends its smallest |input|."""
    margins = []

    def record(_, inputs):
        margins.append(inputs[0].detach().abs().min().item())

    for layer in layers:
        if isinstance(layer, nn.ReLU):
            layer.register_forward_pre_hook(record)
    return margins


def corner(array, size):
    """Returns the leading corner of an array; further axes are whole."""
    return array[tuple(slice(n) for n in size)]


def norms(arrays):
    """Returns Euclidean norms in float64."""
    return np.array([np.linalg.norm(a.astype(np.float64)) for a in arrays])


def record_training(depth, projector, batch, size, seed):
    """Records losses and the changes of parameters and statistics by four steps.

    float32 agrees with float64 as long as no input of a ReLU in the projector changes
    sign: its layers have few units, so that one unit affects every gradient.
    `relu_margin` is the smallest absolute input; choose a seed for which it exceeds
    1e-4.

    Parameters are recorded as updates (final minus initial), because LARS changes a
    weight by about 1e-4 of itself, which a comparison of final values would miss.
    """
    state = barlow_twins_state(depth, projector, seed=seed)
    pairs = [image_pair(batch, size, size, seed=step) for step in range(STEPS)]
    rates = tuple(peak * batch / 256 for peak in PEAKS)
    runs = [
        run(depth, state, projector, pairs, rates, dtype)
        for dtype in (torch.float32, torch.float64)
    ]
    updates = [
        {name: final[name] - state[name] for name in gradients}
        for _, gradients, final in runs
    ]
    record = settings(depth, projector, batch, size, seed, rates, state, pairs)
    record |= summary(depth, *runs[1], updates[1])
    record["parameters/float32_deviation"] = np.array(
        [deviation(updates[0][name], value) for name, value in updates[1].items()]
    )
    record |= {f"float32/{n}": np.array(v) for n, v in runs[0][0].items()}
    report(*runs, record)
    return record


def settings(depth, projector, batch, size, seed, rates, state, pairs):
    """Returns the settings that a test needs to repeat the run."""
    return {
        "depth": np.array(depth),
        "projector": np.array(projector),
        "batch": np.array(batch),
        "size": np.array(size),
        "seed": np.array(seed),
        "lambda": np.array(LAMBDA),
        "rates": np.array(rates),
        "weight_decay": np.array(WEIGHT_DECAY),
        "state_fingerprint": fingerprint(state.values()),
        "images_fingerprint": fingerprint([view for pair in pairs for view in pair]),
    }


def summary(depth, losses, gradients, final, updates):
    """Returns losses, norms of all arrays and a few arrays of the float64 run."""
    names = list(updates)
    stats = [name for name in final if "running_" in name]
    parts = {
        "block": "layer4.2" if depth >= 50 else "layer4.1",
        "norm": "bn3" if depth >= 50 else "bn2",
    }
    record = {name: np.array(values) for name, values in losses.items()}
    record["parameters/names"] = np.array(names)
    record["parameters/gradient_norms"] = norms(gradients[n] for n in names)
    record["parameters/update_norms"] = norms(updates[n] for n in names)
    record["parameters/final_norms"] = norms(final[n] for n in names)
    record["statistics/names"] = np.array(stats)
    record["statistics/final_norms"] = norms(final[n] for n in stats)
    for name in (template.format(**parts) for template in BUFFERS):
        record[f"final/{name}"] = final[name]
    for template, shape in UPDATES.items():
        name = template.format(**parts)
        record[f"update/{name}"] = corner(updates[name], shape).astype(np.float32)
    return record


def report(single, double, record):
    """Prints the deviation of float32 from float64."""
    print(f"  relu_margin: {record['relu_margin']:.1e}")
    for name in ("loss", "invariance", "redundancy"):
        values = double[0][name]
        far = np.abs(np.array(single[0][name]) / np.array(values) - 1)
        print(f"  {name}: {np.round(values, 4)} {far.max():.1e}")
    stats = record["statistics/names"]
    far = max(deviation(single[2][name], double[2][name]) for name in stats)
    print(f"  running statistics: {far:.1e}")
    far = [deviation(single[1][name], double[1][name]) for name in double[1]]
    print(f"  first gradients: median {np.median(far):.1e}, max {max(far):.1e}")
    far = record["parameters/float32_deviation"]
    worst = record["parameters/names"][far.argmax()]
    print(f"  updates: median {np.median(far):.1e}, max {far.max():.1e} ({worst})")
