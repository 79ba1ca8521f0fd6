"""A whole training step: network on both views, loss, gradients and LARS.

python -m benchmarks.step

The last columns compare each step with two limits. "Share of peak" is the operations
per second of the step, divided by those of the side's large matrix product in the same
precision. "Share of kernels alone" is the time of all convolutions and matrix products,
run alone with TensorFlow's kernels (`benchmarks/ours/kernels.py`), divided by that of
the step. `--kinds` prints a second table with these operations by kind.
"""

import statistics

from benchmarks import machine, options, table, turns

_RESNET50 = {
    "depth": 50,
    "width": 1.0,
    "stem": "imagenet",
    "size": 224,
    "projector": (8192, 8192, 8192),
    "batch": 16,
    "rate": 0.01,
}
_RESNET18 = {
    "depth": 18,
    "width": 1.0,
    "stem": "cifar",
    "size": 32,
    "projector": (2048, 2048, 2048),
    "batch": 256,
    "rate": 0.01,
}
_QUARTER = _RESNET18 | {"width": 0.25, "projector": (1024, 1024, 1024)}
_FLOAT32, _BFLOAT16 = {"precision": "float32"}, {"precision": "bfloat16"}
_LAST, _PUBLISHED = "torch, channels-last", "torch, as published"
_LAYOUTS = {_LAST: "channels_last", _PUBLISHED: "contiguous_format"}
_KERNELS = "kernels alone"
# Pairs of a case and the other side. A third network in training would not fit into the
# memory of a small machine.
CASES = (
    (_RESNET50 | _FLOAT32, _LAST),
    (_RESNET50 | _FLOAT32, _PUBLISHED),
    (_RESNET50 | _BFLOAT16, _LAST),
    (_RESNET18 | _FLOAT32, _LAST),
    (_RESNET18 | _BFLOAT16, _LAST),
    (_QUARTER | _BFLOAT16, _LAST),
    (_RESNET18 | _FLOAT32 | {"batch": 512}, "microbatches=4"),
    (_RESNET50 | _FLOAT32 | {"batch": 32}, "microbatches=4"),
)
# With emulated bfloat16 a step can take an hour: use fewer images.
_EMULATED_BATCH = {50: 2, 18: 16}
_QUICK = {"width": 0.25, "size": 32, "projector": (256, 256), "batch": 8}


def main():
    parser = options.parser(__doc__, seconds=10.0)
    parser.add_argument(
        "--kinds", action="store_true", help="print the kernels alone by kind"
    )
    values = options.parse(parser)
    cases = options.select_cases(dict(map(_named, CASES)), values)
    machine.describe(values.peer_python)
    precisions = {case["precision"] for case, _ in dict(cases).values()}
    if not machine.has_bfloat16():
        precisions -= {"bfloat16"}  # Emulation has no meaningful peak.
    peaks = machine.peaks(values, sorted(precisions)) if precisions else {}
    table.header("share of peak", "share of kernels alone")
    kernels = {}
    for name, (case, against) in cases:
        if values.quick:
            case = case | _QUICK
        results = turns.take_turns(_sides(case, against, values), values)
        kernels[name] = results[-1]
        pairs = table.Unit("pairs/s", lambda seconds, n=case["batch"]: n / seconds)
        notes = (
            _share_of_peak(case["precision"], kernels[name], peaks),
            _share_of_kernels(kernels[name]),
        )
        table.rows(name, results, pairs, *notes)
    if values.kinds:
        _print_kinds(kernels)


def _named(case_and_against):
    case, against = case_and_against
    emulated = case["precision"] == "bfloat16" and not machine.has_bfloat16()
    if emulated:
        case = case | {"batch": _EMULATED_BATCH[case["depth"]]}
    precision = case["precision"] + " (emulated)" * emulated
    network = f"ResNet-{case['depth']}"
    if case["width"] != 1:
        network += f" of width {case['width']}"
    network += f", {case['size']} px, D={case['projector'][-1]}"
    name = f"{network}, batch {case['batch']}, {precision}, {against}"
    return name, (case, against)


def _sides(case, against, values):
    """Returns our side, the other one and the kernels alone.

    The other side is a peer, or ours with micro-batches.
    """
    ours, kernels = options.ours("step", case), options.ours("kernels", case, _KERNELS)
    if against in _LAYOUTS:
        layout = {"layout": _LAYOUTS[against]}
        return [ours, options.peer("step", case | layout, against, values), kernels]
    split = case | {"microbatches": int(against.rpartition("=")[2])}
    return [ours, options.ours("step", split, f"bt_keras, {against}"), kernels]


def _share_of_peak(precision, kernels, peaks):
    def note(result):
        ours = result.name not in _LAYOUTS
        needed = kernels.extra.get("flops", {}).get("auto" if ours else "correlation")
        peak = peaks.get(("ours" if ours else "peers", precision))
        if not (needed and peak):
            return ""
        return f"{needed / statistics.median(result.seconds) / peak:.0%}"

    return note


def _share_of_kernels(kernels):
    def note(result):
        if not kernels.seconds:
            return ""
        alone, whole = map(statistics.median, (kernels.seconds, result.seconds))
        return f"{alone / whole:.0%}"

    return note


def _print_kinds(kernels):
    """Prints the median times of the last round, by kind."""
    print()
    table.line(["case", "kernels alone", "median", "share"])
    table.line(["---"] * 4)
    for name, result in kernels.items():
        kinds = result.extra.get("kinds", {}).items()
        seconds = {kind: statistics.median(each) for kind, each in kinds}
        for kind, value in seconds.items():
            share = f"{value / sum(seconds.values()):.0%}"
            table.line([name, kind, f"{table.number(1e3 * value)} ms", share])


if __name__ == "__main__":
    main()
