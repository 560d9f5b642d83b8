"""What the pages of the manual say of the shipped values is what ships."""

import re
from pathlib import Path

import yaml

from graft.keys import conf_dir

ROOT = Path(__file__).parents[1]
OBJECTIVE = (ROOT / "docs" / "objective.md").read_text(encoding="utf-8")


def test_the_page_of_the_objective_tells_the_shipped_decay() -> None:
    rows = dict(re.findall(r"^\| `(\w+)`[^|]*\| [*]{0,2}([\d.e-]+)[^|]*\|", OBJECTIVE, re.MULTILINE))
    optimizers = {
        path.stem: yaml.safe_load(path.read_text()) for path in (conf_dir() / "optimizer").glob("*.yaml")
    }
    assert {name: float(value) for name, value in rows.items()} == {
        name: float(option["weight_decay"]) for name, option in optimizers.items()
    }


def test_the_page_of_the_objective_names_every_regularizer() -> None:
    for path in (conf_dir() / "regularizer").glob("*.yaml"):
        assert f"`{path.stem}`" in OBJECTIVE


def test_pages_link_to_what_is_there() -> None:
    for page in [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("experiments/*/README.md")]:
        for link in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page}: {link}"
