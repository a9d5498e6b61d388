"""Our own programs against Intercom's description: `start_sandbox` judges what they send, when the test ends."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.generate import WorldOptions, generate
from support.runs import Runner


@pytest.mark.parametrize("clear_external_id", ["accept", "refuse", "ignore"])
def test_a_first_sync_keeps_to_the_description(
    start_sandbox: Callable[..., Sandbox], tmp_path: Path, clear_external_id: str
) -> None:
    world = generate(WorldOptions(members=600))
    sandbox = start_sandbox(world, Options(clear_external_id=clear_external_id))  # type: ignore[arg-type]
    assert Runner(sandbox, tmp_path).sync().exit_code == 0
    assert sandbox.calls["POST /contacts"] > 0
    assert sandbox.calls["PUT /contacts/{contact_id}"] > 0
