"""Guards against slips that no other test would notice: packaging, locks, docs, what the repository gives away."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PACKAGES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("src/*/mynatca_*") if path.is_dir())


def test_every_package_is_in_the_wheel(tmp_path: Path) -> None:
    """A misspelt or forgotten entry of `packages` would be dropped without a word."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]

    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path], cwd=ROOT, check=True)

    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    assert sorted(declared["packages"]) == PACKAGES
    for package in PACKAGES:
        assert f"{Path(package).name}/py.typed" in names


def test_source_roots_are_no_packages() -> None:
    """With `src/operator/__init__.py` Python's own `operator` would be hidden."""
    assert list(ROOT.glob("src/*/__init__.py")) == []


@pytest.mark.parametrize("file", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda file: file.name)
def test_requirements_have_hashes_and_no_addresses(file: Path) -> None:
    text = file.read_text()

    assert "://" not in text
    pinned = re.findall(r"^[a-z0-9][\w.-]*==", text, re.MULTILINE)
    assert len(pinned) > 10
    assert text.count("--hash=sha256:") >= len(pinned)


def test_generated_pages_are_up_to_date() -> None:
    """`make docs` writes settings, metrics and measurements from code."""
    subprocess.run([sys.executable, ROOT / "tools" / "generate_docs.py", "--check"], check=True)


def test_nothing_is_deleted_for_good() -> None:
    """No program may call `DELETE /contacts/{id}`: archiving can be undone, deleting cannot."""
    deletes_contact = re.compile(r'"DELETE",\s*f?"/contacts/(\{[^}]*\}|[^/"]*)"')
    assert deletes_contact.search('"DELETE", f"/contacts/{contact_id}"')
    for file in ROOT.glob("src/*/mynatca_*/**/*.py"):
        if "mynatca_sandbox" not in file.parts:
            assert not deletes_contact.search(file.read_text()), file


def test_versions_agree() -> None:
    chart = yaml.safe_load((ROOT / "charts/mynatca-intercom/Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    released = re.search(r"^## \[(\d.*?)\] - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert released
    assert chart["version"] == chart["appVersion"] == project["version"] == released[1]
