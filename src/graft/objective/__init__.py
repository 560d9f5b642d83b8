"""λR(W, b) of the objective, mean loss + λR: what the loss alone does not ask of the weights."""

from graft.objective.behaviour import Delta as Delta
from graft.objective.co_tuning import CoTuning as CoTuning
from graft.objective.penalties import L1 as L1
from graft.objective.penalties import L2 as L2
from graft.objective.regularizer import Regularizer as Regularizer
from graft.objective.regularizer import none as none
from graft.objective.spectrum import BatchSpectralShrinkage as BatchSpectralShrinkage
from graft.objective.starting_point import L2SP as L2SP
from graft.objective.stochastic_norm import StochNorm as StochNorm
