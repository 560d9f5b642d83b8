"""The LightningModule and what surrounds it: metrics, callbacks, progress, the bundle."""

from graft.training.bundle import Bundle as Bundle
from graft.training.bundle import HowTested as HowTested
from graft.training.bundle import Prediction as Prediction
from graft.training.bundle import load_bundle as load_bundle
from graft.training.bundle import save_bundle as save_bundle
from graft.training.checkpoints import Checkpoints as Checkpoints
from graft.training.head import linear as linear
from graft.training.head import mlp as mlp
from graft.training.module import TransferModule as TransferModule
from graft.training.progress import progress_bar as progress_bar
from graft.training.step_table import StepTable as StepTable
