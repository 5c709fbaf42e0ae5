"""What is shipped: the wheel, what it says that it needs, the image's recipe, and the example in containers."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.parts.command import Chatq
from tests.parts.root import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def run(*command: str | Path, env: dict[str, str] | None = None) -> str:
    end = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=600)
    assert end.returncode == 0, f"{command}:\n{end.stdout}{end.stderr}"
    return end.stdout


# --- the wheel -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_wheel_installs_and_runs_with_nothing_but_what_it_requires(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    # The wheel is built from the source distribution, as a packager would.
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", tmp_path)
    [wheel] = tmp_path.glob("*.whl")
    assert set(shipped(wheel)) == set(sources())

    venv.create(tmp_path / "env", with_pip=False)
    bin_path = tmp_path / "env" / "bin"
    pip = (sys.executable, "-m", "pip", "--python", bin_path / "python")
    # What is imported below is compiled then; to compile everything takes as long as to install it.
    run(*pip, "install", "--quiet", "--no-compile", wheel)
    run(*pip, "check")

    env = {name: value for name, value in environment.items() if name != "PYTHONPATH"}
    assert run(bin_path / "chatq", "--version", env=env).startswith(f"chatq {PROJECT['version']}\n")
    assert "redis-check" in run(bin_path / "chatq", "--help", env=env)
    assert '"to":"' in run(bin_path / "chatq", "db", "upgrade", "--json", env=env)
    folders = sorted(path.parent.name for path in (ROOT / "chatq").glob("*/__init__.py"))
    imports = "\n".join(f"import chatq.{folder}" for folder in folders)
    run(bin_path / "python", "-W", "error", "-c", imports, env=env)


def shipped(wheel: Path) -> Iterator[str]:
    with ZipFile(wheel) as archive:
        yield from (name for name in archive.namelist() if name.startswith("chatq/"))


def sources() -> Iterator[str]:
    for path in (ROOT / "chatq").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield str(path.relative_to(ROOT))


# --- what it requires ----------------------------------------------------------------------------


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(text).name) for text in requirements}


def imported(folder: str) -> set[str]:
    """Return the distributions that the code in ``folder`` imports, but for chatq and its own tests."""
    modules = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules.add(node.module.partition(".")[0])
    distributions = packages_distributions()
    foreign = modules - sys.stdlib_module_names - {"chatq", "tests", "_typeshed"}
    return {canonicalize_name(distributions[module][0]) for module in foreign}


def test_everything_that_the_code_imports_is_required() -> None:
    assert imported("chatq") - names(PROJECT["dependencies"]) == set()


def test_everything_that_the_tests_import_is_required() -> None:
    extra = names(PROJECT["optional-dependencies"]["test"])
    assert imported("tests") - names(PROJECT["dependencies"]) - extra == set()


def test_every_requirement_has_a_lower_and_an_upper_bound() -> None:
    for text in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]:
        assert {bound.operator for bound in Requirement(text).specifier} == {">=", "<"}, text


# --- containers ----------------------------------------------------------------------------------


def test_the_dockerfile_satisfies_hadolint() -> None:
    run(Path(sys.executable).with_name("hadolint"), "Dockerfile")


COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "examples" / "compose.yaml").read_text())["services"]
ROLES = [name for name, service in COMPOSE.items() if service["image"] == "chatq"]


def test_the_example_in_containers_has_every_role() -> None:
    assert ROLES == ["schema", "api", "worker"]


@pytest.mark.parametrize("role", ROLES)
def test_the_example_in_containers_runs_commands_that_there_are(chatq: Chatq, role: str) -> None:
    command = COMPOSE[role]["command"]
    shown = chatq(*command, "--help")
    assert shown.returncode == 0, shown.stderr
    options = [word for word in command if word.startswith("--")]
    assert all(option in shown.stdout for option in options)
