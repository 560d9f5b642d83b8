"""Domains that differ are told apart, and those that do not are not."""

import numpy as np

from graft.inspection.domain_gap import DomainGap, belonging_of, drawn, told_apart

RNG = np.random.default_rng(0)
ALONE = belonging_of(None, None, lengths=(300, 300))


def test_a_shift_is_seen_and_none_is_not() -> None:
    source, target = RNG.normal(size=(2, 300, 16)).astype(np.float32)
    right, of = told_apart(source, target, ALONE, 0)
    same = DomainGap("net", right, of, {})
    assert same.interval[0] < 0.5 < same.interval[1]
    right, of = told_apart(source, target + 0.5, ALONE, 0)
    other = DomainGap("net", right, of, {})
    assert other.interval[0] > 0.6
    assert other.a_distance > same.a_distance


def test_what_belongs_together_is_never_learnt_and_tested() -> None:
    # Ten patients a domain, each with features of its own: by a copy each is told, without it by luck.
    patient = np.repeat(np.arange(20), 15)
    features = RNG.normal(size=(20, 64))[patient].astype(np.float32)
    source, target = features[:150], features[150:]
    names = [str(number) for number in patient]
    together = belonging_of(names[:150], names[150:], lengths=(150, 150))
    apart, of = told_apart(source, target, together, 0)
    leaking, _ = told_apart(source, target, belonging_of(None, None, lengths=(150, 150)), 0)
    assert leaking / of > 0.95
    assert apart / of < 0.85


def test_as_many_of_each_are_drawn() -> None:
    source, target = drawn(np.arange(5000), np.arange(100, 130), 0)
    assert len(source) == len(target) == 30
    assert set(target) == set(range(100, 130))
    assert (np.diff(source) > 0).all()
