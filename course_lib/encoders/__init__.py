"""What was learnt elsewhere: networks that turn examples into features."""

from course_lib.encoders.images import ImageEncoder, Timing, encode, imagenet
from course_lib.encoders.layers import LayerEncoder, by_layer
from course_lib.encoders.packaged import available
from course_lib.encoders.patches import PatchEncoder, patch_dictionary

__all__ = [
    "ImageEncoder",
    "LayerEncoder",
    "PatchEncoder",
    "Timing",
    "available",
    "by_layer",
    "encode",
    "imagenet",
    "patch_dictionary",
]
