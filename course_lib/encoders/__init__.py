"""What was learnt elsewhere: networks that turn examples into features."""

from course_lib.encoders.four_bits import four_bit
from course_lib.encoders.images import ImageEncoder, encode, imagenet
from course_lib.encoders.joining import JoinedEncoder, joined
from course_lib.encoders.layers import LayerEncoder, by_layer
from course_lib.encoders.packaged import available
from course_lib.encoders.patches import PatchEncoder, patch_dictionary
from course_lib.encoders.shorten import shortened
from course_lib.encoders.text import TextEncoder, english_bert, multilingual_bert
from course_lib.encoders.text_layers import TextLayerEncoder, text_layers
from course_lib.encoders.timing import Timing

__all__ = [
    "ImageEncoder",
    "JoinedEncoder",
    "LayerEncoder",
    "PatchEncoder",
    "TextEncoder",
    "TextLayerEncoder",
    "Timing",
    "available",
    "by_layer",
    "encode",
    "english_bert",
    "four_bit",
    "imagenet",
    "joined",
    "multilingual_bert",
    "patch_dictionary",
    "shortened",
    "text_layers",
]
