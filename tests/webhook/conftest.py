"""A workspace with one lead, and a webhook service beside it."""

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import Contact, ConversationAttribute
from mynatca_sandbox.world.workspace import SYNC_TAG, VERIFICATION
from support.webhook_service import ANN, TAG, Service
from support.worlds import NOW, member_row, world_of


@pytest.fixture
def lead() -> Contact:
    return Contact("a" * 24, "lead", NOW - 100, NOW - 100, email="ann@example.com")


@pytest.fixture
def service(start_sandbox: Callable[..., Sandbox], tmp_path: Path, lead: Contact) -> Iterator[Service]:
    """A workspace with one lead that is member 1001; the service is not started yet."""
    world = world_of([member_row(ANN, "ann@example.com")], [lead])
    world.tags[TAG] = SYNC_TAG
    world.conversation_attributes.append(ConversationAttribute(1, VERIFICATION, "string", NOW, NOW))
    with ExitStack() as stack:
        service = Service(start_sandbox(world, Options(limit=None)), tmp_path)
        stack.callback(service.stop, signal.SIGKILL)
        yield service
