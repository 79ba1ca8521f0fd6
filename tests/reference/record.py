"""Records PyTorch's results for the tests: `python tests/reference/record.py`.

Requires torch and torchvision, which the tests do not. Tests generate weights and
images from their seeds (`weights.py`), so the files contain outputs only, in float64
unless the name says otherwise. Prints the deviation of a float32 run from each
recording.
"""

from pathlib import Path

import numpy as np
import torch
import torchvision
from compare import deviation, fingerprint, nchw
from official import Lars, lars_trajectory, learning_rate, load, loss_terms, resnet
from train import record_training
from weights import images, resnet_state

FEATURES = {  # Depth, stem, and (number of images, height, width) of every batch.
    "resnet18": (18, "imagenet", ((2, 96, 96), (2, 97, 131))),
    "resnet34": (34, "imagenet", ((2, 96, 96), (2, 97, 131))),
    "resnet50": (50, "imagenet", ((2, 96, 96), (2, 97, 131))),
    "resnet101": (101, "imagenet", ((1, 64, 64),)),
    "resnet152": (152, "imagenet", ((1, 64, 64),)),
    "resnet18_cifar": (18, "cifar", ((2, 32, 32),)),
}
LAMBDAS = (0.0051, 0.005)
LARS_RUNS = {  # Weight decay, trust coefficient, rates of weights, rates of biases.
    "constant": (1e-6, 1e-3, [0.2] * 6, [0.0048] * 6),
    "varying": (1e-2, 2e-2, [0, 0.1, 0.2, 0.3, 0.2, 0.05], [0, 1, 2, 3, 2, 0.5]),
}


@torch.no_grad()
def record_features():
    """Records pooled features in evaluation mode."""
    record = {}
    for name, (depth, stem, shapes) in FEATURES.items():
        state = resnet_state(depth, seed=depth, stem=stem)
        record[f"{name}/state_fingerprint"] = fingerprint(state.values())
        for n, h, w in shapes:
            batch, out = images(n, h, w, seed=h + w), {}
            for dtype in (torch.float32, torch.float64):
                model = load(resnet(depth, stem), state, dtype).eval()
                out[dtype] = model(nchw(batch, dtype)).numpy()
            key = f"{name}/{h}x{w}"
            record[key] = out[torch.float64]
            record[f"{key}/images_fingerprint"] = fingerprint([batch])
            print(f"  {key}: {deviation(out[torch.float32], record[key]):.1e}")
    return record


def correlated_embeddings(n, d, seed):
    """Generates embeddings of two views with a random mean and scale per column."""
    rng = np.random.default_rng([seed, n, d])
    shared, first, second = rng.standard_normal((3, n, d))
    pair = []
    for own in (first, second):
        scale = np.exp(rng.uniform(np.log(3e-3), np.log(3), d))
        mean = rng.standard_normal(d)
        pair.append(((mean + 0.8 * shared + 0.6 * own) * scale).astype(np.float32))
    return pair


def loss_and_gradients(z_a, z_b, lambd, dtype):
    """Returns a dict of the loss, its two terms and both input gradients."""
    leaves = [torch.tensor(z, dtype=dtype, requires_grad=True) for z in (z_a, z_b)]
    invariance, redundancy = loss_terms(*leaves)
    loss = invariance + lambd * redundancy
    grad_a, grad_b = torch.autograd.grad(loss, leaves)
    out = {"loss": loss, "invariance": invariance, "redundancy": redundancy}
    out |= {"grad_a": grad_a, "grad_b": grad_b}
    return {name: value.detach().numpy() for name, value in out.items()}


def record_loss():
    """Records the loss and its gradients for N < D, N = D and N > D."""
    record = {"lambdas": np.array(LAMBDAS)}
    for n, d in ((16, 64), (32, 32), (96, 24)):
        z_a, z_b = correlated_embeddings(n, d, seed=0)
        record |= {f"{n}x{d}/z_a": z_a, f"{n}x{d}/z_b": z_b}
        for lambd in LAMBDAS:
            double = loss_and_gradients(z_a, z_b, lambd, torch.float64)
            single = loss_and_gradients(z_a, z_b, lambd, torch.float32)
            far = {
                name: f"{deviation(single[name], double[name]):.0e}" for name in double
            }
            print(f"  {n}x{d}, lambda {lambd}: {far}")
            record |= {f"{n}x{d}/{lambd}/{name}": v for name, v in double.items()}
    return record


def lars_problem(seed=0, steps=6):
    """Generates initial values and gradients, some of them with a norm of 0."""
    rng = np.random.default_rng(seed)
    shapes = {"bias": (7,), "matrix": (5, 4), "kernel": (3, 3, 2, 4), "zero": (4, 3)}
    initial = {name: rng.standard_normal(s) for name, s in shapes.items()}
    initial["zero"] *= 0
    gradients = {name: rng.standard_normal((steps, *s)) for name, s in shapes.items()}
    gradients["zero"][0] = 0  # Both norms are 0, then that of the value alone.
    gradients["kernel"][3] = 0  # Weight decay alone.
    return [
        {k: v.astype(np.float32) for k, v in x.items()} for x in (initial, gradients)
    ]


def torch_lars(initial, gradients, weight_decay, trust, rates):
    """Computes trajectories with the optimizer of the training recordings."""
    leaves = {k: torch.nn.Parameter(torch.tensor(v)) for k, v in initial.items()}
    biases = [leaves["bias"]]
    others = [p for name, p in leaves.items() if name != "bias"]
    optimizer = Lars(others, biases, weight_decay, trust=trust)
    trajectory = {name: [] for name in leaves}
    for step, pair in enumerate(zip(*rates, strict=True)):
        for name, p in leaves.items():
            p.grad = torch.tensor(gradients[name][step], dtype=p.dtype)
        optimizer.step(pair)
        for name, p in leaves.items():
            trajectory[name].append(p.detach().numpy().copy())
    return {name: np.stack(values) for name, values in trajectory.items()}


def record_lars():
    """Records trajectories computed with NumPy, checked against torch."""
    initial, gradients = lars_problem()
    record = {f"initial/{name}": value for name, value in initial.items()}
    record |= {f"gradients/{name}": value for name, value in gradients.items()}
    for run, (weight_decay, trust, *rates) in LARS_RUNS.items():
        record[f"{run}/rates"] = np.array(rates, np.float64).T
        record[f"{run}/weight_decay"] = np.float64(weight_decay)
        record[f"{run}/trust_coefficient"] = np.float64(trust)
        record[f"{run}/momentum"] = np.float64(0.9)
        out = {}
        for dtype in (np.float32, np.float64):
            p, g = (
                {k: v.astype(dtype) for k, v in x.items()} for x in (initial, gradients)
            )
            by_torch = torch_lars(p, g, weight_decay, trust, rates)
            for name in p:
                rate = rates[p[name].ndim == 1]
                out[name, dtype] = lars_trajectory(
                    p[name], g[name], rate, weight_decay, trust=trust
                )
                tolerance = 1e-13 if dtype is np.float64 else 1e-6
                if deviation(by_torch[name], out[name, dtype]) > tolerance:
                    raise ArithmeticError(f"torch and NumPy differ: {run}/{name}")
        for name in initial:
            record[f"{run}/{name}"] = out[name, np.float64]
            far = deviation(out[name, np.float32], out[name, np.float64])
            print(f"  {run}/{name}: {far:.1e}")
    return record


def record_schedule(epochs=20, warmup_epochs=2, batch=512, steps_per_epoch=7):
    """Records both learning rates at every step of a short run."""
    total, warmup = epochs * steps_per_epoch, warmup_epochs * steps_per_epoch
    peaks = [0.2 * batch / 256, 0.0048 * batch / 256]
    table = [[learning_rate(s, warmup, total, p) for p in peaks] for s in range(total)]
    print(
        f"  {np.max(np.abs(np.float32(table) / np.maximum(table, 1e-99) - 1)[1:]):.1e}"
    )
    return {
        "step": np.arange(total),
        "rates": np.array(table),
        "peaks": np.array(peaks),
        "warmup_steps": np.array(warmup),
        "total_steps": np.array(total),
        "floor": np.array(1e-3),
    }


RECORDS = {
    "features": record_features,
    "loss": record_loss,
    "lars": record_lars,
    "schedule": record_schedule,
    "training_resnet18": lambda: record_training(18, (32, 32, 32), 16, 32, seed=10),
    "training_resnet50": lambda: record_training(50, (64, 64, 64), 32, 64, seed=1),
}


def main():
    """Writes every recording next to this file."""
    packages = (torch, torchvision, np)
    versions = ", ".join(f"{p.__name__} {p.__version__}" for p in packages)
    print(f"{versions}; float32 from float64, relative:")
    for name, record in RECORDS.items():
        print(name)
        path = Path(__file__).with_name(f"{name}.npz")
        np.savez_compressed(path, versions=np.array(versions), **record())
        print(f"  {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
