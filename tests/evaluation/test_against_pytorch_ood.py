"""The scores against pytorch-ood's, which are lower where ours are higher.

Of version 0.4. It is no dependency: `pip install pytorch-ood` beside the package runs these.
"""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from graft.evaluation.knowing import fit_score
from graft.evaluation.none_of_these import energy, mahalanobis, max_softmax, nearest

pytest.importorskip("pytorch_ood")
from pytorch_ood.detector import KNN, EnergyBased, Mahalanobis, MaxSoftmax

DRAW = torch.Generator().manual_seed(0)
LABELS = torch.arange(3000) % 3
CENTRES, MIX = torch.randn(3, 8, generator=DRAW) * 3, torch.diag(torch.linspace(0.5, 2, 8))
LEARNT = CENTRES[LABELS] + torch.randn(3000, 8, generator=DRAW) @ MIX
KNOWN = CENTRES[LABELS[:300]] + torch.randn(300, 8, generator=DRAW) @ MIX
GIVEN = torch.cat([KNOWN, 2 * torch.randn(300, 8, generator=DRAW)])
LOGITS = 4 * torch.randn(200, 7, generator=DRAW)


def test_the_energy_is_pytorch_ood_s():
    assert energy(LOGITS) == pytest.approx(-EnergyBased(None).predict_logits(LOGITS).numpy(), rel=1e-5)


def test_the_largest_probability_is_pytorch_ood_s():
    assert max_softmax(LOGITS) == pytest.approx(-MaxSoftmax(None).predict_logits(LOGITS).numpy(), rel=1e-5)


@pytest.mark.parametrize("k", [1, 5, 50])
def test_the_distance_to_the_kth_neighbour_is_pytorch_ood_s(k):
    theirs = KNN(None, k=k).fit_features(LEARNT, LABELS).predict_features(GIVEN).numpy()
    assert nearest(GIVEN, LEARNT, k) == pytest.approx(-theirs, abs=1e-5)
    # As it is stored, in half precision.
    arrays, _ = fit_score("knn", LEARNT, LABELS.numpy())
    assert nearest(GIVEN, arrays["bank"], k) == pytest.approx(-theirs, abs=1e-3)


def test_the_mahalanobis_distance_is_pytorch_ood_s():
    """Theirs is half of it, of a covariance that is not divided by the number of samples."""
    theirs = Mahalanobis(None).fit_features(LEARNT, LABELS).predict_features(GIVEN).numpy()
    arrays, _ = fit_score("mahalanobis", LEARNT, LABELS.numpy())
    ours = mahalanobis(GIVEN, arrays["means"], arrays["whitening"])
    # Ledoit and Wolf's shrinkage is what remains.
    assert ours == pytest.approx(-2 * len(LEARNT) * theirs, rel=0.05)
    known = np.repeat([1, 0], 300)
    assert roc_auc_score(known, ours) == pytest.approx(roc_auc_score(known, -theirs), abs=1e-3)
