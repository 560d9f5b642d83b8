"""The `data` node of a configuration becomes images and their splits; neither needs torch."""

import subprocess
import sys

import numpy as np
import pytest

from graft.data import SampleData, array_images, pictures
from graft.errors import GraftError
from graft.sources.opening import open_data, split_data


@pytest.fixture
def uneven() -> SampleData:
    """40 small images of three classes, most of them of the last."""
    labels = np.repeat([0, 1, 2], [6, 10, 24])
    pixels = np.random.default_rng(0).integers(0, 256, (40, 20, 20, 3), dtype=np.uint8)
    return SampleData(["a", "b", "c"], {"all": array_images([str(i) for i in range(40)], labels, pixels)})


def text() -> str:
    return "no images"


def test_data_of_another_kind_is_refused() -> None:
    with pytest.raises(GraftError, match=r"^data: .*text gave str, not graft\.data\.SampleData"):
        open_data({"_target_": f"{__name__}.text", "batch_size": 3})


def test_to_open_and_split_costs_no_torch() -> None:
    code = (
        "import sys\nfrom graft.sources.opening import open_data, split_data\n"
        "node = {'_target_': 'graft.sources.digits'}\nsplit_data(node, open_data(node))\n"
        "sys.exit(bool({'torch', 'pytorch_lightning'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_only_who_asks_for_copies_pays_for_finding_them() -> None:
    code = (
        "import sys\nfrom graft.sources.opening import open_data, split_data\n"
        "asked = sys.argv[1] == 'yes'\n"
        "data = open_data({'_target_': 'graft.sources.digits', 'keep_copies_together': asked})\n"
        "assert any('copy' in note for note in data.notes) == asked\n"
        "assert 'torch' not in sys.modules\n"
        "sys.exit(bool({'imagehash', 'sqlite3', 'graft.data.pictures'} & set(sys.modules)))"
    )
    for word, loaded in (("no", 0), ("yes", 1)):
        assert subprocess.run([sys.executable, "-c", code, word]).returncode == loaded


def test_a_node_says_which_copies_are_kept_together(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def known(data: SampleData, **how: object) -> SampleData:
        asked.append(how)
        return data

    monkeypatch.setattr(pictures, "with_copies_known", known)
    node = {"_target_": "graft.sources.digits"}
    open_data(node)
    open_data({**node, "keep_copies_together": False})
    open_data({**node, "keep_copies_together": True, "num_workers": 3, "folds": 5, "fold": 1})
    open_data({**node, "keep_copies_together": "exact", "folds": None})
    assert asked == [
        {"near": True, "threads": 3, "folds": True},
        {"near": False, "threads": None, "folds": False},
    ]


def test_a_users_own_data_need_not_name_what_has_a_default(uneven: SampleData) -> None:
    splits = split_data({"_target_": "mypkg.slides"}, uneven)
    assert [len(splits[part]) for part in ("train", "val", "test")] == [25, 7, 8]
    fewer = split_data({"_target_": "mypkg.slides", "val_fraction": 0, "shots": 2}, uneven)
    assert [len(fewer[part]) for part in ("train", "val", "test")] == [6, 0, 8]


def test_the_split_depends_on_its_own_seed(uneven: SampleData) -> None:
    seeds = [split_data({"split_seed": seed}, uneven)["test"].tolist() for seed in (0, 0, 1)]
    assert seeds[0] == seeds[1] != seeds[2]
