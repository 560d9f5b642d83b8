"""What the pages of the manual say of the shipped values is what ships."""

import re
from pathlib import Path

from graft.configuration.keys import conf_dir, option_keys
from graft.configuration.network_names import classifiers

ROOT = Path(__file__).parents[1]
NETWORKS = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
OBJECTIVE = (ROOT / "docs" / "objective.md").read_text(encoding="utf-8")


def test_the_page_of_the_objective_tells_the_shipped_decay() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| [*]{0,2}(chosen|[\d.e-]+)[^|]*\|", OBJECTIVE, re.MULTILINE))
    for name, told in rows.items():
        shipped = option_keys("optimizer", name, [conf_dir()])["weight_decay"]
        assert shipped == (None if told == "chosen" else float(told)), name
    options = {path.stem for path in (conf_dir() / "optimizer").glob("*.yaml")}
    assert options == {*rows, "auto"}


def test_the_page_of_the_objective_names_every_regularizer() -> None:
    for path in (conf_dir() / "regularizer").glob("*.yaml"):
        assert f"`{path.stem}`" in OBJECTIVE


def test_the_page_of_networks_counts_those_that_are_listed() -> None:
    for library in ("torchvision", "timm"):
        assert f"{library}'s classifiers, {len(classifiers(library)):,} of them" in NETWORKS
