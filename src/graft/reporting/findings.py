"""What tables and figures show, in a sentence: the titles."""

import math

from graft.configuration.metric_names import lower_is_better
from graft.reporting.groups import Ranking
from graft.reporting.pairs import Difference


def verdict(ranking: Ranking, differences: list[Difference]) -> str:
    """Which group is best, by how much it is ahead of the next, and whether that is clear."""
    groups, tested = ranking.groups, ranking.tested
    if not groups:
        return "No run is finished"
    if len(groups) == 1:
        count = len(groups[0].runs)
        return f"{tested} {groups[0].spread(tested)} over {count} run{'s' if count != 1 else ''}"
    if not ranking.ranked:
        means = [group.spread(tested).mean for group in groups]
        return f"{tested} from {min(means):.3f} to {max(means):.3f}; nothing was validated, so none is best"
    text = f"{groups[0].label} is best on validation ({tested} {groups[0].spread(tested)})"
    pair = next((item for item in differences if item.second == groups[1].label), None)
    if pair is None and not groups[1].spread(tested).n:
        # As in a search, which tests its winner alone.
        return f"{text}; the next was not tested"
    if pair is None:
        return f"{text}; the next shares no {'/'.join(ranking.over)} with it"
    if pair.low is None:
        why = "with one pair" if pair.n == 1 else f"from {pair.n} pairs that differ equally"
        return f"{text}; {why} no one can say whether that is chance"
    sign = -1 if lower_is_better(tested) else 1
    where = f"(95 %: {pair.low:+.3f} to {pair.high:+.3f})"
    if not pair.clear:
        return (
            f"{text}; against {groups[1].label} the test shows no clear difference: {pair.mean:+.3f} {where}"
        )
    word = "better" if sign * pair.mean > 0 else "worse"
    return f"{text}, {word} than {groups[1].label} on test: {pair.mean:+.3f} {where}"


def thrift(ranking: Ranking, cost: str, unit: str) -> str:
    """The cheapest group whose validation is within one standard deviation of the best's."""
    if not ranking.ranked:
        return f"{ranking.tested} against {unit}"
    best = ranking.groups[0].spread(ranking.sort)
    within = [
        group
        for group in ranking.groups
        if group.spread(cost).n
        and abs(group.spread(ranking.sort).mean - best.mean) <= (best.deviation or 0.0)
        and math.isfinite(group.spread(ranking.sort).mean)
    ]
    if not within:
        return f"{ranking.tested} against {unit}"
    cheapest = min(within, key=lambda group: group.spread(cost).mean)
    costs = f"{cheapest.spread(cost).mean:,.0f} {unit}"
    if cheapest is ranking.groups[0]:
        return f"No cheaper one is as good on validation as the best, {cheapest.label} ({costs})"
    return f"As good on validation (within a deviation of the best), and cheapest: {cheapest.label} ({costs})"
