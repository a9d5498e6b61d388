"""Disks that a test can fill."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def may_mount() -> bool:
    """Whether this process may make disks of its own."""
    return os.geteuid() == 0


@contextmanager
def disk(folder: Path, options: str) -> Iterator[Path]:
    """A disk of its own at a new folder, with options of tmpfs, for example `size=4m`."""
    if not may_mount():
        pytest.skip("only root mounts a disk")
    folder.mkdir()
    subprocess.run(["/usr/bin/mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["/usr/bin/umount", "--lazy", folder], check=True)
