"""Samples with labels, splits, transforms and the LightningDataModule; importing this imports no torch."""

from typing import TYPE_CHECKING

from graft.lazy import lazily

if TYPE_CHECKING:
    from graft.data.facts import data_facts as data_facts
    from graft.data.held_rows import row_samples as row_samples
    from graft.data.held_texts import text_samples as text_samples
    from graft.data.image_samples import ImageSamples as ImageSamples
    from graft.data.image_samples import ImageSet as ImageSet
    from graft.data.image_samples import array_images as array_images
    from graft.data.image_samples import file_images as file_images
    from graft.data.images import read_image as read_image
    from graft.data.images import to_rgb as to_rgb
    from graft.data.loading import TransformedSamples as TransformedSamples
    from graft.data.loading import make_loader as make_loader
    from graft.data.mixing import cutmix as cutmix
    from graft.data.mixing import mixup as mixup
    from graft.data.mixing import mixup_or_cutmix as mixup_or_cutmix
    from graft.data.mixing import unmixed as unmixed
    from graft.data.module import SampleDataModule as SampleDataModule
    from graft.data.sample_data import ImageData as ImageData
    from graft.data.sample_data import SampleData as SampleData
    from graft.data.samples import ImageError as ImageError
    from graft.data.samples import SampleError as SampleError
    from graft.data.samples import Samples as Samples
    from graft.data.sound_samples import file_sounds as file_sounds
    from graft.data.sound_transform import sound_augmentation as sound_augmentation
    from graft.data.sounds import Sound as Sound
    from graft.data.sounds import read_sound as read_sound
    from graft.data.split_table import recorded_rows as recorded_rows
    from graft.data.split_table import split_from_rows as split_from_rows
    from graft.data.split_table import split_rows as split_rows
    from graft.data.splits import Splits as Splits
    from graft.data.splits import split as split
    from graft.data.text_transform import word_dropout as word_dropout
    from graft.data.transforms import evaluation_transform as evaluation_transform
    from graft.data.transforms import training_transform as training_transform

# Module to the public names that it defines; no module may bear the name of a public function.
_HOMES = {
    "facts": ("data_facts",),
    "sample_data": ("ImageData", "SampleData"),
    "image_samples": ("ImageSamples", "ImageSet", "array_images", "file_images"),
    "held_texts": ("text_samples",),
    "held_rows": ("row_samples",),
    "images": ("read_image", "to_rgb"),
    "loading": ("TransformedSamples", "make_loader"),
    "mixing": ("cutmix", "mixup", "mixup_or_cutmix", "unmixed"),
    "module": ("SampleDataModule",),
    "samples": ("ImageError", "SampleError", "Samples"),
    "sound_samples": ("file_sounds",),
    "sound_transform": ("sound_augmentation",),
    "sounds": ("Sound", "read_sound"),
    "split_table": ("recorded_rows", "split_from_rows", "split_rows"),
    "splits": ("Splits", "split"),
    "text_transform": ("word_dropout",),
    "transforms": ("evaluation_transform", "training_transform"),
}

__getattr__ = lazily(__name__, _HOMES)
