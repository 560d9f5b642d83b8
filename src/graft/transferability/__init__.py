"""How well features suit a task, before anything is trained: pure functions of float64 arrays.

What they share: features `(N, D)`, labels `(N,)` of whole numbers, of which some may be missing, and the
source classes' probabilities `(N, S)`. Of each score more is better, and none is comparable across data sets.
Importing this package imports neither scipy nor scikit-learn.
"""

# Not lazily: a module that bears its function's name would take the name when it is first imported.
from graft.transferability.h_score import h_score as h_score
from graft.transferability.leep import leep as leep
from graft.transferability.linear_probe import probe_accuracy as probe_accuracy
from graft.transferability.logme import logme as logme
from graft.transferability.nce import nce as nce
from graft.transferability.neighbours import knn_accuracy as knn_accuracy
from graft.transferability.rank_correlation import rank_correlations as rank_correlations
from graft.transferability.scores import all_scores as all_scores
from graft.transferability.transrate import transrate as transrate
