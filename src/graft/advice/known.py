"""What an advice has found so far, from step to step."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graft.advice.backbones import Ranked
from graft.advice.climbing import best_of
from graft.advice.ladder import SOLVED, data_words, words_of
from graft.advice.trainings import Training, typed
from graft.advice.trust import Comparison, Promise
from graft.configuration.keys import key_of
from graft.configuration.schema import Plain
from graft.data import SampleData, Splits
from graft.data.samples import Indices
from graft.inspection.findings import Finding
from graft.inspection.inspection import Inspection
from graft.ranking.candidates import Candidate


@dataclass
class Known:
    """What an advice has found so far; what is not known yet is empty or None.

    Attributes:
        question: what was asked: goal, minutes, cost, words, and the options of `backbone`.
        data: the images.
        splits: what each is for.
        findings: of the look at them.
        ranked: backbones, those left out with their reason.
        going: those that cannot be told from the best, the cheapest first.
        not_at_hand: what would have to be fetched: `name` and `megabytes`.
        trainings: the ladder.
        climbed: why no more was trained.
        head: the head alone, of the backbone that it is best on.
        other: the best training that retrains more.
        comparison: of the two, fold by fold.
        compared: why there is no comparison; empty where there is one.
        folds: that were cut; 0 where none were.
        repeats: how often.
        advised: the training that is advised.
        promises: by training, what its folds promise for the test.
        tested: its metrics.
        tested_before: the metrics of models that an earlier start advised, by their runs' names.
        looked: what a look at the images found.
        indices: of those that train and validate, one of each picture.
        stopped: why the answer is not whole; empty where it is.
        goes_on_with: words beside `resume` with which what was stopped goes on; None where it would stop at
            the same again, as where the images are too few.
        parts: sections that other modules make, by name.
    """

    question: Plain
    data: SampleData | None = None
    splits: Splits | None = None
    findings: Sequence[Finding] = ()
    ranked: Sequence[Ranked] = ()
    going: Sequence[Ranked] = ()
    not_at_hand: Sequence[Mapping[str, object]] = ()
    trainings: Sequence[Training] = ()
    climbed: str = ""
    head: Training | None = None
    other: Training | None = None
    comparison: Comparison | None = None
    compared: str = ""
    folds: int = 0
    repeats: int = 0
    advised: Training | None = None
    promises: dict[str, Promise] = field(default_factory=dict)
    tested: Mapping[str, Any] = field(default_factory=dict)
    tested_before: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    looked: Inspection | None = None
    indices: Indices | None = None
    stopped: str = "it was stopped"
    goes_on_with: Sequence[str] | None = ()
    parts: dict[str, Any] = field(default_factory=dict)

    @property
    def tried(self) -> list[str]:
        """The steps that retrain more and were begun, on any backbone."""
        begun = [one.step.name for one in self.trainings if one.step != SOLVED and (one.spent or one.failed)]
        return list(dict.fromkeys(begun))

    def ranking_command(self) -> str:
        """What ranks the backbones again, on the same images."""
        names = ",".join(dict.fromkeys(one.candidate.name for one in self.ranked))
        words = [word.lstrip("+") for word in self.question["words"]]
        more = [word for word in words if key_of(word).partition(".")[0] in ("weights", "image_size", "seed")]
        return shlex.join(["graft", "rank", *map(typed, [*data_words(words), *more]), f"backbones=[{names}]"])

    def inspection_command(self, backbone: Candidate) -> str:
        """What asks again which labels look wrong to a backbone."""
        words = words_of(backbone, self.question["options"])
        return shlex.join(["graft", "inspect", *map(typed, [*data_words(self.question["words"]), *words])])

    @property
    def plural(self) -> str:
        """What the samples are called; before the data are open nobody knows better."""
        return "images" if self.data is None else self.data.kind.plural

    def choose(self) -> None:
        """Find the head alone, the best of the others, and which of them is advised.

        Of the heads, which are solved for each backbone, the one whose backbone has the best probe: it was
        measured on more images than validate.
        """
        goal = self.question["goal"]
        probes = {one.candidate.label: one.row["probe"] or 0.0 for one in self.ranked}
        heads = [one for one in self.trainings if one.step == SOLVED and one.finished]
        self.head = max(heads, key=lambda one: probes.get(one.backbone.label, 0.0), default=None)
        self.other = best_of([one for one in self.trainings if one.step != SOLVED], goal)
        better = self.comparison is not None and self.comparison.worth_it
        self.advised = self.other if better else self.head
