"""A run whose processes share out the weights is the run of processes that each hold all of them.

Lightning lets `fsdp` run on GPUs alone; here two processes without one share out the weights, over gloo.
"""

import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch.testing import assert_close

import graft
from graft.errors import GraftError
from graft.runs import RunFolder
from graft.runs.files import read_csv

PACKAGE = '''
import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import FSDPStrategy
from torch.distributed.fsdp import FullyShardedDataParallel


class CpuFSDP(FSDPStrategy):
    """Lightning's but for the device, which it names by the number of a GPU."""

    def _setup_model(self, model):
        wrapped = FullyShardedDataParallel(
            model,
            mixed_precision=self.mixed_precision_config,
            sharding_strategy=self.sharding_strategy,
            device_id=torch.device("cpu"),
            **self.kwargs,
        )
        return super()._setup_model(wrapped)


def trainer(strategy, **settings):
    return pl.Trainer(strategy=CpuFSDP() if strategy == "fsdp" else strategy, **settings)
'''
OPTION = """
defaults: [fsdp, _self_]
_target_: sharing.trainer
accelerator: cpu
devices: 2
"""


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A small run, and where the option `trainer=fsdp_cpu` stands."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "sharing.py").write_text(PACKAGE)
    (folder / "conf/trainer").mkdir(parents=True)
    (folder / "conf/trainer/fsdp_cpu.yaml").write_text(OPTION)
    sys.path.insert(0, str(folder))
    yield [
        *(f"hydra.searchpath=[file://{folder}/conf]", "data=digits", "data.fraction=0.1"),
        *("data.batch_size=32", "data.num_workers=0", "trainer.max_epochs=2", "logger=none"),
        *("callbacks=checkpoint", "callbacks.last.seconds=0"),
    ]
    sys.path.remove(str(folder))
    sys.modules.pop("sharing", None)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["full", "last_k"])
def test_shared_weights_train_as_whole_ones(words: list[str], strategy: str, tmp_path: Path) -> None:
    shared, whole = (
        graft.train([*words, f"freeze={strategy}", f"trainer={option}", f"hydra.run.dir={tmp_path / option}"])
        for option in ("fsdp_cpu", "ddp_cpu")
    )
    for row, other in zip(read_csv(shared.epochs), read_csv(whole.epochs), strict=True):
        assert {key: float(value) for key, value in row.items()} == pytest.approx(
            {key: float(value) for key, value in other.items()}, rel=1e-4
        )
    first, second = ({**run.metrics, "seconds": 0} for run in (shared, whole))
    assert first["trainable_parameters"] == second["trainable_parameters"]
    assert first["test/accuracy"] == second["test/accuracy"]
    weights = [load_file(run.path / "model" / "model.safetensors") for run in (shared, whole)]
    assert_close(weights[0], weights[1], rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_a_run_of_shared_weights_goes_on(words: list[str], tmp_path: Path) -> None:
    """Longer by an epoch, from the file in which its weights are whole.

    By SGD, whose state is one tensor a parameter: of AdamW's two, torch 2.15 saves the second twice where
    nothing is copied from a GPU, since both are views of one buffer.
    """
    words = [*words, "trainer=fsdp_cpu", "scheduler=constant", "optimizer=sgd"]
    at_once = graft.train([*words, "trainer.max_epochs=3", f"hydra.run.dir={tmp_path}/whole"])
    graft.train([*words, f"hydra.run.dir={tmp_path}/parts"])
    graft.train([f"resume={tmp_path}/parts", "trainer.max_epochs=3", "trust=[sharing]"])
    resumed = RunFolder.open(tmp_path / "parts")
    assert len(read_csv(resumed.epochs)) == 3
    weights = [load_file(run.path / "model" / "model.safetensors") for run in (at_once, resumed)]
    assert_close(weights[0], weights[1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("freeze=gradual", "trainer=fsdp wants what trains to be the same in all epochs"),
        ("callbacks=none", "it needs callbacks.last, as in callbacks=checkpoint"),
    ],
)
def test_what_cannot_share_weights_is_told_before_training(
    words: list[str], word: str, answer: str, tmp_path: Path
) -> None:
    words = [given for given in words if not given.startswith("callbacks")]
    with pytest.raises(GraftError, match=answer):
        graft.train([*words, "trainer=fsdp_cpu", word, f"hydra.run.dir={tmp_path}/run"])
    assert not (tmp_path / "run").exists()
