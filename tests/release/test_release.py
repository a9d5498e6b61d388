"""What `make release` builds: files that anybody can build again and verify. Takes Helm and GPG."""

import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def release(checkout: Path, **settings: str) -> Path:
    """Build a release of a checkout as `make release` does, without images, and return its folder."""
    subprocess.run(
        ["bash", ROOT / "tools" / "release.sh"],
        cwd=checkout,
        # No image is built, not even where there is a docker.
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "DOCKER_HOST": "tcp://[::]:1"}
        | settings,
        check=True,
    )
    return checkout / "dist"


def cloned(folder: Path) -> Path:
    subprocess.run(["git", "clone", "--quiet", ROOT, folder / "checkout"], check=True)
    return folder / "checkout"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return cloned(tmp_path)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of a checkout of its own."""
    return release(cloned(tmp_path_factory.mktemp("released")))


def test_a_release_can_be_built_again_byte_by_byte(released: Path, checkout: Path) -> None:
    (checkout / "README.md").write_text("An edit that is not committed is not released.")
    dist = release(checkout)

    first = (released / "SHA256SUMS").read_text()
    assert (dist / "SHA256SUMS").read_text() == first
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=dist, check=True)
    assert {line.split()[1] for line in first.splitlines()} == {path.name for path in dist.iterdir()} - {"SHA256SUMS"}


def test_each_program_has_an_sbom_of_all_that_is_pinned(released: Path) -> None:
    for program in (each.name for each in (ROOT / "images").iterdir()):
        requirements = (ROOT / "requirements" / f"{program}.txt").read_text()
        pinned = re.findall(r"^([\w.-]+)==(\S+)", requirements, re.MULTILINE)
        bom = json.loads(next(released.glob(f"sbom-{program}-*.cdx.json")).read_text())
        assert sorted((each["name"], each["version"]) for each in bom["components"]) == sorted(pinned)


def test_alerts_of_a_release_link_to_its_own_runbooks(checkout: Path) -> None:
    dist = release(checkout, SOURCE_URL="https://example.org/natca/")

    with tarfile.open(next(dist.glob("*.tgz"))) as package:
        file = package.extractfile("mynatca-intercom/values.yaml")
        assert file
        version = next(dist.glob("*.tgz")).stem.removeprefix("mynatca-intercom-")
        assert f"runbookUrl: https://example.org/natca/blob/v{version}/docs/runbooks\n" in file.read().decode()


@pytest.fixture
def keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of GPG's own, whose agent ends with the test."""
    monkeypatch.setenv("GNUPGHOME", str(tmp_path))
    yield tmp_path / "public.gpg"
    subprocess.run(["gpgconf", "--kill", "all"], check=True)


def test_a_signed_chart_verifies_and_an_altered_one_does_not(checkout: Path, keyring: Path) -> None:
    gpg = ["gpg", "--batch", "--quiet"]
    subprocess.run([*gpg, "--passphrase", "", "--quick-gen-key", "Release <release@example.org>"], check=True)

    chart = next(release(checkout, SIGN_KEY="Release").glob("*.tgz"))

    subprocess.run([*gpg, "--output", str(keyring), "--export"], check=True)
    verify = ["helm", "verify", str(chart), "--keyring", str(keyring)]
    subprocess.run(verify, check=True)
    with tarfile.open(chart, "w:gz") as package:
        package.add(checkout / "charts/mynatca-intercom", "mynatca-intercom")
    assert subprocess.run(verify, check=False).returncode == 1
