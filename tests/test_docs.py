from __future__ import annotations

import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from exporter import __version__
from exporter.settings.reference import SETTINGS
from tools.generated import FILES

ROOT = Path(__file__).parent.parent
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "charts").rglob("*.md")]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FAULTS = (ROOT / "docs" / "faults.md").read_text()
LOCKS = {name: (ROOT / "requirements" / f"{name}.lock").read_text() for name in ("dev", "image", "build")}


def locked(name: str = "dev") -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([\w.!+-]+)", LOCKS[name], re.MULTILINE))


def requirements() -> Iterator[Requirement]:
    for text in (*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]):
        yield Requirement(text)


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_generated_files_are_what_their_sources_give(path: Path) -> None:
    assert path.read_text() == FILES[path](), "write it anew: make docs"


@pytest.mark.parametrize("requirement", list(requirements()), ids=str)
def test_the_lock_file_satisfies_every_requirement(requirement: Requirement) -> None:
    version = locked().get(canonicalize_name(requirement.name))
    assert version is not None, "write the lock file anew: make lock"
    assert requirement.specifier.contains(version), "write the lock file anew: make lock"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_in_a_lock_file_has_hashes_and_no_address(lock: str) -> None:
    entries = re.split(r"\n(?=\S)", LOCKS[lock].strip())
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in LOCKS[lock]


def named_tests(text: str) -> set[tuple[str, str]]:
    return set(re.findall(r"`(test_\w+\.py)::(test_\w+)`", text))


def written_in(pattern: str) -> set[tuple[str, str]]:
    files = (ROOT / "tests").rglob(pattern)
    return {
        (file.name, name)
        for file in files
        for name in re.findall(r"^(?:async )?def (test_\w+)", file.read_text(), re.MULTILINE)
    }


def test_every_row_about_a_fault_names_a_test_that_exists() -> None:
    rows = [line for line in FAULTS.splitlines() if line.startswith("|") and not re.match(r"\| fault|\|---", line)]
    assert len(rows) > 20
    assert [row for row in rows if not named_tests(row)] == []
    assert named_tests(FAULTS) - written_in("test_*.py") == set()


def test_every_test_of_a_fault_has_a_row() -> None:
    assert written_in("test_faults_*.py") - named_tests(FAULTS) == set()


@pytest.mark.parametrize("lock", ["image", "build"])
def test_the_image_is_made_of_the_versions_that_the_tests_use(lock: str) -> None:
    assert locked(lock).items() <= locked().items()


def test_the_image_has_no_tool_of_development() -> None:
    needed = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}
    assert needed <= locked("image").keys()
    assert locked("image").keys().isdisjoint({"pytest", "mypy", "ruff", "hatchling", "kubernetes-validate"})


def test_the_version_is_the_same_everywhere() -> None:
    chart = yaml.safe_load((ROOT / "charts/pod-exporter/Chart.yaml").read_text())
    assert PROJECT["version"] == __version__ == chart["appVersion"] == chart["version"]


def test_a_release_publishes_the_tag_that_the_chart_asks_for(tmp_path: Path) -> None:
    """And none whose version is not the project's."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/release.yaml").read_text())
    steps = workflow["jobs"]["publish"]["steps"]
    [check] = [step["run"] for step in steps if "version" in step.get("name", "")]
    [push] = [step["with"] for step in steps if step.get("id") == "push"]
    known = tmp_path / "env"

    def run(tag: str) -> int:
        env = {"PATH": os.environ["PATH"], "GITHUB_REF_NAME": tag, "GITHUB_ENV": str(known)}
        return subprocess.run(["bash", "-e", "-c", check], cwd=ROOT, env=env, check=False).returncode

    assert run("v99.0.0") != 0
    assert run(f"v{__version__}") == 0
    assert known.read_text() == f"VERSION={__version__}\n"
    assert push["tags"] == "${{ env.IMAGE }}:${{ env.VERSION }}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_files_and_headings_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text()):
        name, _, anchor = target.partition("#")
        there = page.parent / name if name else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_make_targets_and_flags_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= targets
    flags = {setting.flag for setting in SETTINGS} | {"--config"}
    assert set(re.findall(r"--[a-z]+\.[a-z-]+", text)) <= flags


def test_families_that_the_readme_names_exist() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "exporter/metrics").glob("*.py"))
    families = set(re.findall(r"\bpod_(?!exporter)[a-z_]+[a-z]\b", (ROOT / "README.md").read_text()))
    assert families
    assert {family for family in families if f'"{family}"' not in sources} == set()


def test_every_make_target_says_what_it_does() -> None:
    targets = re.findall(r"^([a-z-]+):(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert [name for name, rest in targets if "## " not in rest] == []
