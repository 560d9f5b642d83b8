"""The wheel holds all that a run needs: installed anywhere, `graft` works in any folder."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import graft
from graft.configuration.version import DISTRIBUTION, __version__
from graft.runs import RunFolder

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the built wheel in it, as an installer unpacks it."""
    built = tmp_path_factory.mktemp("dist")
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(built)]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    site = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        wheel.extractall(site)
    return site


def test_the_wheel_holds_every_option_and_the_console_command(site: Path) -> None:
    shipped = {path.relative_to(ROOT / "conf") for path in (ROOT / "conf").rglob("*.yaml")}
    shipped = {path for path in shipped if path.parts[0] != "local"}
    assert shipped <= {
        path.relative_to(site / "graft/conf") for path in (site / "graft/conf").rglob("*.yaml")
    }
    # What is no module goes with the modules.
    assert {"report.html.j2", "report.css"} <= {path.name for path in (site / "graft/advice").iterdir()}
    entry_points = next(site.glob("*.dist-info/entry_points.txt")).read_text()
    assert "graft = graft.cli.console:main" in entry_points
    assert not (site / "conf").exists()
    assert not (site / "tests").exists()


def test_it_has_the_name_that_is_ours_on_the_package_index(site: Path) -> None:
    (about,) = site.glob("*.dist-info/METADATA")
    lines = about.read_text(encoding="utf-8").splitlines()
    assert f"Name: {DISTRIBUTION}" in lines
    assert f"Version: {__version__}" in lines


def test_it_trains_elsewhere(site: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    code = (
        "import sys, graft; print(graft.__file__); sys.argv[0] = 'graft'\n"
        "from graft.cli.console import main; main()"
    )
    words = ["train", "data=digits", "debug=one_batch", "trainer=cpu", "hydra.run.dir=run"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    # The wheel's own code and options, not this checkout's.
    assert Path(done.stdout.splitlines()[0]).is_relative_to(site)
    assert Path(graft.__file__).is_relative_to(ROOT)
    assert done.stdout.splitlines()[-1] == "run"
    assert RunFolder.open(tmp_path / "run").status()["status"] == "finished"
