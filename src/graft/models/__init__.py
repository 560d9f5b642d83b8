"""Heads, and the model that a run leaves: the bundle, the source's head, weights between two models."""

from graft.models.bundle import Bundle as Bundle
from graft.models.bundle import HowTested as HowTested
from graft.models.bundle_files import load_bundle as load_bundle
from graft.models.bundle_files import save_bundle as save_bundle
from graft.models.head import linear as linear
from graft.models.head import mlp as mlp
from graft.models.prediction import Prediction as Prediction
from graft.models.source_head import kept_head as kept_head
