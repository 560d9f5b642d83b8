"""Knowledge distillation: a student learns the labels and what a trained teacher says of the same images."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate, kl_div, log_softmax

from graft.backbones.inputs import Input, device_of, moved
from graft.backbones.preprocessing import Preprocessing
from graft.backbones.preprocessings import AnyPreprocessing
from graft.configuration.run_config import Distill
from graft.data.kinds import kind_of
from graft.errors import GraftError
from graft.models.bundle import Bundle
from graft.models.bundle_files import load_bundle


def softened_divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T²·KL(softmax(teacher/T) ‖ softmax(student/T)), the mean over the batch (arXiv:1503.02531).

    Softening divides the gradient by about T²; multiplied by it again, the divergence keeps its weight
    beside the labels' loss whatever T is. Towards T → ∞ its gradient is (z̃_student − z̃_teacher) / (B·C), of
    logits `(B, C)` z̃ that are centred over the classes.
    """
    students, teachers = (log_softmax(logits / temperature, dim=1) for logits in (student, teacher))
    return temperature**2 * kl_div(students, teachers, reduction="batchmean", log_target=True)


class Teacher:
    """A bundle's model that answers a student's batches, preprocessed for it, in the student's classes.

    No `nn.Module`, so that the student's module neither trains, saves, compiles nor averages it.

    Raises:
        GraftError: the teacher's classes are others, or it sees other samples, or them in another way.
    """

    def __init__(self, bundle: Bundle, preprocessing: AnyPreprocessing, class_names: Sequence[str]) -> None:
        if (kind := kind_of(preprocessing)) is not bundle.kind:
            raise GraftError(f"distill.teacher: it takes {bundle.kind.plural}, and data has {kind.plural}")
        if other := sorted(set(bundle.class_names) ^ set(class_names)):
            some = ", ".join(other[:5])
            raise GraftError(f"distill.teacher: teacher and student must know the same classes; see {some}")
        self.model = bundle.model.eval().requires_grad_(False)
        self.order = torch.tensor([bundle.class_names.index(name) for name in class_names])
        first, second = preprocessing, bundle.preprocessing
        self.same, self.size, self.scales = first == second, 0, torch.empty(0)
        if isinstance(first, Preprocessing) and isinstance(second, Preprocessing):
            self.same = (first.mean, first.std, first.crop) == (second.mean, second.std, second.crop)
            self.size = second.crop
            # The student's mean and std, and the teacher's own.
            self.scales = torch.tensor([first.mean, first.std, second.mean, second.std]).view(4, 3, 1, 1)
        elif not self.same:
            raise GraftError(
                f"distill.teacher: it does not see {kind.plural} as the student does; give a teacher whose "
                "network the student starts from, backbone.weights=…"
            )

    def __deepcopy__(self, memo: dict[int, object]) -> "Teacher":
        """One teacher is enough for every copy of the student."""
        return self

    @torch.no_grad()
    def __call__(self, given: Input) -> Tensor:
        """The student's inputs of B samples to logits `(B, C)` in float32."""
        device = device_of(given)
        if self.order.device != device:
            self.model.to(device)
            self.order, self.scales = self.order.to(device), self.scales.to(device)
        logits: Tensor = self.model(moved(self.prepared(given), device, next(self.model.parameters()).dtype))
        return logits.float()[:, self.order]

    def prepared(self, images: Input) -> Input:
        """The same at the teacher's size, mean and std, of images `(B, 3, H, W)`, normalised."""
        if self.same or not isinstance(images, Tensor):
            return images
        mean, std, teachers_mean, teachers_std = self.scales
        pixels = images.float() * std + mean
        if pixels.shape[-1] != self.size:
            pixels = interpolate(pixels, (self.size, self.size), mode="bilinear", antialias=True)
        normalised: Tensor = (pixels - teachers_mean) / teachers_std
        return normalised


class Distillation:
    """(1 − w)·loss + w·`softened_divergence` from a teacher, w being the weight, from 0 to 1.

    The teacher answers the batches that the student sees, mixed ones too.
    """

    def __init__(self, teacher: Teacher, temperature: float, weight: float) -> None:
        self.teacher = teacher
        self.temperature = temperature
        self.weight = weight

    def __call__(self, given: Input, logits: Tensor, loss: Tensor) -> Tensor:
        """The scalar loss of B inputs with logits `(B, C)` whose labels' loss is `loss`."""
        divergence = softened_divergence(logits.float(), self.teacher(given), self.temperature)
        return (1 - self.weight) * loss + self.weight * divergence


def make_distillation(
    settings: Distill, preprocessing: AnyPreprocessing, class_names: Sequence[str]
) -> Distillation | None:
    """What the configuration's `distill` asks for; None without a teacher.

    Raises:
        GraftError: there is no such teacher, its code is not trusted, or its classes are others.
    """
    if settings.teacher is None:
        return None
    try:
        bundle = load_bundle(settings.teacher, settings.trust)
    except GraftError as error:
        # It speaks of the keys of `graft evaluate`.
        message = str(error).replace("run=", "distill.teacher=", 1).replace(" trust=", " distill.trust=")
        raise GraftError(message) from error
    teacher = Teacher(bundle, preprocessing, class_names)
    return Distillation(teacher, settings.temperature, settings.weight)
