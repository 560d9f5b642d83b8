"""How much more often a source sample would be met in the target: what it weighs as a judge of the target."""

import warnings

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# scikit-learn's C, from a classifier that hardly says anything on; the samples left out decide which.
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


def density_ratio(source: Floats, target: Floats, seed: int = 0) -> Floats:
    """The target's density over the source's at each source sample, `(N,)`, of features `(N, D)`, `(M, D)`.

    By a logistic regression that tells target from source (Bickel, Brückner and Scheffer 2009, Journal of
    Machine Learning Research 10): the odds of being the target's, divided by those that numbers alone give,
    M/N. It is cross-fitted in two folds, and so are the features' mean and variance: no ratio is of a sample
    that it was fitted on, whose own would be too small. Its penalty is that of `PENALTIES` with the least log
    loss on the samples that were left out.

    Raises:
        ValueError: a domain has fewer than two samples, so that a fold would have none of it.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold
    from sklearn.preprocessing import StandardScaler

    if min(len(source), len(target)) < 2:
        raise ValueError("two folds want two samples of each domain")
    features = np.concatenate([source, target])
    domains = np.repeat([0, 1], [len(source), len(target)])
    # Of being the target's, a row for each penalty, and what numbers alone say of each sample's fold.
    logits, prior = np.zeros((len(PENALTIES), len(features))), np.zeros(len(features))
    for fitted, left_out in StratifiedKFold(2, shuffle=True, random_state=seed).split(features, domains):
        scaler = StandardScaler().fit(features[fitted])
        known, unknown = scaler.transform(features[fitted]), scaler.transform(features[left_out])
        prior[left_out] = np.log(domains[fitted].sum() / (1 - domains[fitted]).sum())
        # Each begins where the one before it ended.
        model = LogisticRegression(warm_start=True)
        for row, penalty in enumerate(PENALTIES):
            with warnings.catch_warnings():
                # A weak penalty takes long; one that is not quite at its minimum is judged like the others.
                warnings.filterwarnings("ignore", "lbfgs failed to converge")
                model.set_params(C=penalty).fit(known, domains[fitted])
            logits[row, left_out] = model.decision_function(unknown)
    losses = np.logaddexp(0, np.where(domains, -logits, logits)).mean(1)
    best = (logits[losses.argmin()] - prior)[: len(source)]
    # More than so many times, or fewer, as many samples cannot show.
    most = np.log(len(features))
    ratio: Floats = np.exp(best.clip(-most, most))
    return ratio
