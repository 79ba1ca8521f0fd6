"""`bt-keras plan`."""

import pytest

from bt_keras.cli import main
from tests.cli.commands import one_error_line


def printed(capsys, *arguments):
    assert main(["plan", *map(str, arguments)]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def test_a_plan_of_images_at_hand(recipe, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = printed(capsys, f"--config={recipe}", "--trial")
    for part in (
        "18 images of 2 classes",
        "4: 2 epochs of 2, each of 8 pairs, 2 images of an epoch are left out",
        "0.00625 = 0.2 x 8 / 256; lars",
        "0.03125 = 1 x 8 / 256, of biases and batch norm",
        "from 0 in 2 steps",
        "by the D x D cross-correlation: N = 8 >= 0.75 D = 6",
        "floor of the loss   0.00571;",
        "for a step of 8 pairs on this machine",
        "waiting for the run's images; the first loss is ",
        "warning: the paper's rates of LARS",
    ):
        assert part in out
    assert not list(tmp_path.iterdir())


def test_a_plan_for_replicas_without_images(recipe, capsys):
    flags = ["--images=1000", "--replicas=4", "--config.data.source=/nowhere"]
    out = printed(capsys, f"--config={recipe}", *flags, "--config.projector=(8,64)")
    for part in (
        "1,000 images, as given; none was looked at",
        "250: 2 epochs of 125, each of 8 pairs\n",
        "by N x N Gram matrices: N = 8 < 0.75 D = 48",
        "of each of 4 replicas",
        "sent by each replica in a step",
        "--trial runs a few steps",
    ):
        assert part in out


def test_a_plan_of_another_method(recipe, capsys):
    method = "bt_keras.studies.methods.loss_variants.LossVariant"
    flags = [f"--config.method.name={method}", "--replicas=2"]
    out = printed(capsys, f"--config={recipe}", *flags)
    for part in (
        f"loss                of {method}: its start and floor are not known",
        "memory              at least ",
        "exchange            at least ",
        "operations          at least ",
        "warning: the plan lacks operations and activations that it cannot count, of "
        "'the loss of LossVariant'",
    ):
        assert part in out
    assert "floor of the loss" not in out


def test_a_plan_of_a_run_is_that_of_its_config(run, recipe, capsys):
    planned = printed(capsys, f"--workdir={run}")
    assert planned == printed(capsys, f"--config={recipe}")


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        ([], ["give one of --config", "--workdir"]),
        (["--config=demo", "--workdir=x"], ["not both"]),
        (["--config=demo", "--images=100"], ["config.batch_size is 128", "100 images"]),
        (["--config=demo", "--replicas=3"], ["128", "3 replicas"]),
        (["--config=demo", "--config.epochs=1"], ["config.optimizer.warmup_epochs"]),
        (["--config=demo", "--replicas=0"], ["replicas"]),
        (["--config=demo", "--images=many"], ["images"]),
        (
            ["--config=demo", "--config.backbone.name=keras.applications.ResNet5"],
            ["config.backbone.name", "ResNet5"],
        ),
        (
            ["--config=demo", "--config.method.name=bt_keras.LARS"],
            ["config.method.name", "not a subclass of bt_keras.BarlowTwins"],
        ),
        (["--workdir=nowhere"], ["nowhere"]),
        (["--config=demo", "--config.data.source=nowhere"], ["nowhere"]),
    ],
    ids=lambda value: " ".join(value[-1:]),
)
def test_errors_are_one_line(capsys, flags, parts):
    one_error_line(capsys, ["plan", *flags], *parts)
