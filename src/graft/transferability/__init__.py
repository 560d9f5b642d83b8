"""How well features suit a task, before anything is trained: pure functions of float64 arrays.

What they share: features `(N, D)`, labels `(N,)` of whole numbers, of which some may be missing, and the
source classes' probabilities `(N, S)`. Of each score more is better, and none is comparable across data sets.
Importing this package imports neither scipy nor scikit-learn.
"""

from typing import TYPE_CHECKING

from graft.lazy import lazily

if TYPE_CHECKING:
    from graft.transferability.coding_rate import transrate as transrate
    from graft.transferability.conditional_entropy import nce as nce
    from graft.transferability.evidence import logme as logme
    from graft.transferability.expected_prediction import leep as leep
    from graft.transferability.h_scores import h_score as h_score
    from graft.transferability.h_scores import plain_h_score as plain_h_score
    from graft.transferability.linear_probe import probe_accuracy as probe_accuracy
    from graft.transferability.neighbours import knn_accuracy as knn_accuracy
    from graft.transferability.rank_correlation import rank_correlations as rank_correlations
    from graft.transferability.scores import all_scores as all_scores

# Public name to the module that defines it; no module may bear the name of a public function.
_HOMES = {
    "all_scores": "scores",
    "h_score": "h_scores",
    "knn_accuracy": "neighbours",
    "leep": "expected_prediction",
    "logme": "evidence",
    "nce": "conditional_entropy",
    "plain_h_score": "h_scores",
    "probe_accuracy": "linear_probe",
    "rank_correlations": "rank_correlation",
    "transrate": "coding_rate",
}

__getattr__ = lazily(__name__, _HOMES)
