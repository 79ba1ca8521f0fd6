"""A whole training step: network on both views, loss, gradients and LARS.

python -m benchmarks.step

The last column is the share of the side's own peak: the operations per second of its
step, divided by those of its large matrix product in the same precision.
"""

import statistics

from benchmarks import flops, machine, options, table, turns

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
_FLOAT32, _BFLOAT16 = {"precision": "float32"}, {"precision": "bfloat16"}
_LAST, _PUBLISHED = "torch, channels-last", "torch, as published"
_LAYOUTS = {_LAST: "channels_last", _PUBLISHED: "contiguous_format"}
# Pairs of a case and the other side. Three sides at a time would not fit into the
# memory of a small machine.
CASES = (
    (_RESNET50 | _FLOAT32, _LAST),
    (_RESNET50 | _FLOAT32, _PUBLISHED),
    (_RESNET50 | _BFLOAT16, _LAST),
    (_RESNET18 | _FLOAT32, _LAST),
    (_RESNET18 | _BFLOAT16, _LAST),
    (_RESNET18 | _FLOAT32 | {"batch": 512}, "microbatches=4"),
    (_RESNET50 | _FLOAT32 | {"batch": 32}, "microbatches=4"),
)
# With emulated bfloat16 a step can take an hour: use fewer images.
_EMULATED_BATCH = {50: 2, 18: 16}
_QUICK = {"width": 0.25, "size": 32, "projector": (256, 256), "batch": 8}


def main():
    values = options.parse(options.parser(__doc__, seconds=10.0))
    cases = options.select_cases(dict(map(_named, CASES)), values)
    machine.describe(values.peer_python)
    precisions = {case["precision"] for case, _ in dict(cases).values()}
    if not machine.has_bfloat16():
        precisions -= {"bfloat16"}  # Emulation has no meaningful peak.
    peaks = machine.peaks(values, sorted(precisions)) if precisions else {}
    table.header("share of peak")
    for name, (case, against) in cases:
        if values.quick:
            case = case | _QUICK
        results = turns.take_turns(_sides(case, against, values), values)
        table.rows(name, results, table.SECONDS, _share(case, peaks))


def _named(case_and_against):
    case, against = case_and_against
    emulated = case["precision"] == "bfloat16" and not machine.has_bfloat16()
    if emulated:
        case = case | {"batch": _EMULATED_BATCH[case["depth"]]}
    precision = case["precision"] + " (emulated)" * emulated
    network = f"ResNet-{case['depth']}, {case['size']} px"
    name = f"{network}, batch {case['batch']}, {precision}, {against}"
    return name, (case, against)


def _sides(case, against, values):
    """Returns our side and the other one: a peer, or ours with micro-batches."""
    if against in _LAYOUTS:
        layout = {"layout": _LAYOUTS[against]}
        return [
            options.ours("step", case),
            options.peer("step", case | layout, against, values),
        ]
    count = int(against.rpartition("=")[2])
    return [
        options.ours("step", case | {"microbatches": 1}, "bt_keras"),
        options.ours("step", case | {"microbatches": count}, f"bt_keras, {against}"),
    ]


def _share(case, peaks):
    def note(result):
        ours = result.name not in _LAYOUTS
        fields = ("depth", "width", "stem", "size", "projector", "batch")
        needed = flops.step(**{field: case[field] for field in fields}, gram=ours)
        peak = peaks.get(("ours" if ours else "peers", case["precision"]))
        achieved = needed / statistics.median(result.seconds)
        return f"{achieved / peak:.0%}" if peak else ""

    return note


if __name__ == "__main__":
    main()
