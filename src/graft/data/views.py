"""Test-time augmentation: the views of an image whose answers are averaged."""

from dataclasses import replace

from graft.backbones.preprocessings import AnyPreprocessing
from graft.data.image_transform import ImageTransform
from graft.data.transforms import evaluation_transform
from graft.errors import GraftError


def views(tta: str, preprocessing: AnyPreprocessing) -> list[ImageTransform]:
    """What makes each view beside the plain one.

    `flip` adds the mirrored image. `five` adds the four corners of the image, each of a crop's size, to its
    centre (as torchvision's `FiveCrop`).

    Raises:
        GraftError: samples of this kind have no such views, or crops leave nothing out.
    """
    plain: object = evaluation_transform(preprocessing)
    if not isinstance(plain, ImageTransform):
        raise GraftError(f"tta={tta}: it mirrors and cuts images, and the model takes none")
    if tta == "flip":
        return [replace(plain, horizontal_flip=1.0)]
    sizes = plain.preprocessing
    if sizes.squash or sizes.resize == sizes.crop:
        how = f"images are resized to {sizes.resize} px and cut to {sizes.crop}"
        raise GraftError(f"tta={tta}: {how}, which leaves no corners; tta=flip mirrors them")
    return [replace(plain, corner=(down, right)) for down in (0, 1) for right in (0, 1)]
