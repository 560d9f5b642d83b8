"""How many processes a configuration means."""

import pytest

from graft.errors import GraftError
from graft.processes.starting import count

TRAINER = {"accelerator": "cpu", "devices": 1, "num_nodes": 1}


@pytest.mark.parametrize(("devices", "processes"), [(1, 1), (3, 3), ([0, 2], 2), ("auto", 1)])
def test_there_is_a_process_a_device(devices: object, processes: int) -> None:
    assert count({**TRAINER, "devices": devices}) == processes


def test_a_launcher_decides_how_many_and_must_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in {"TORCHELASTIC_RUN_ID": "1", "RANK": "0", "WORLD_SIZE": "8"}.items():
        monkeypatch.setenv(key, value)
    assert count({**TRAINER, "devices": "auto"}) == 8
    assert count({**TRAINER, "devices": 4, "num_nodes": 2}) == 8
    with pytest.raises(GraftError, match=r"torchrun has started 8 processes, but trainer\.devices=4"):
        count({**TRAINER, "devices": 4})


def test_nodes_need_a_launcher() -> None:
    with pytest.raises(GraftError, match="needs torchrun or srun"):
        count({**TRAINER, "num_nodes": 2})
