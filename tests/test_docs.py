"""What the pages of the manual say of the shipped values is what ships."""

import re
from pathlib import Path

from graft.configuration.keys import conf_dir, option_keys
from graft.configuration.network_names import classifiers
from graft.evaluation.calibration import LIMITS
from graft.evaluation.intervals import calibration_gap, macro, rankings, skewed
from graft.evaluation.metrics import BINS
from graft.objective.solving import PENALTIES, WORSE
from graft.transferability.neighbours import NEIGHBOURS, TEMPERATURE

ROOT = Path(__file__).parents[1]
NETWORKS = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
NUMBERS = (ROOT / "docs" / "numbers.md").read_text(encoding="utf-8")
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


def test_the_page_of_numbers_tells_the_limits_that_the_code_has() -> None:
    gap, in_words = calibration_gap, {3: "three"}
    for told in (
        f"average precision of a class of fewer than {rankings.LEAST['average_precision']} images",
        f"of fewer than {rankings.LEAST_OF_RARE} that is rarer than 1 in {1 / rankings.RARE:g},"
        f" or of fewer than {rankings.LEAST['auroc']};",
        f"| a class with fewer than {macro.LEAST} images,",
        f"| fewer than {skewed.LEAST_ERRORS} errors |",
        f"fewer than {gap.LEAST_ERRORS} errors, fewer than {gap.LEAST_ERRORS} right, or fewer than"
        f" {gap.LEAST_IMAGES} images",
        f"over {BINS} bins",
        f"over {LIMITS[0]:g} to {LIMITS[1]:g} of",
        f"for λ = {', '.join(f'{penalty:g}' for penalty in PENALTIES[:3])} … down to 1e-5",
        f"ends after {in_words[WORSE]} that",
        f"the {NEIGHBOURS} nearest by cosine, leave-one-out; a vote weighs exp(cosine / {TEMPERATURE})",
    ):
        assert told in NUMBERS, told
    assert f"{PENALTIES[-1]:g}" == "1e-05"
