"""`config.deterministic=True`: the same bits from the same command, as processes."""

import signal

import pytest

from tests import pauses, tiny
from tests.gpu import card
from tests.training.test_kill_and_resume import (
    assert_same_end,
    finish,
    log_of,
    pretrain,
)

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    folder = tiny.write_images(tmp_path_factory.mktemp("images"), per_class=40)
    recipe = pauses.add_hooks(tiny.write_config(folder / "tiny.py", folder))
    if card.is_pretended():
        recipe.write_text(recipe.read_text() + card.PRETENDED)
    return recipe


def test_a_repeated_and_a_killed_run_end_with_the_same_bits(recipe, tmp_path):
    """In bfloat16, and with max pooling, whose gradient XLA cannot make the same."""
    options = ("--config.checkpoint.every_steps=2", "--config.precision=mixed_bfloat16")
    options += ("--config.backbone.stem=imagenet",)
    first, second, killed = (tmp_path / n for n in ("first", "second", "killed"))
    for workdir in (first, second):
        finish(recipe, workdir, *options)
    assert_same_end(second, first)
    for moment in ("step 11", "write 26"):
        process = pretrain(recipe, killed, *options, pause_at=moment)
        process.kill()
        assert process.wait() == -signal.SIGKILL, log_of(killed).read_text()
    finish(recipe, killed, *options)
    assert_same_end(killed, first)
