"""What was learnt elsewhere: networks that turn examples into features."""

from course_lib.encoders.images import ImageEncoder, Timing, encode, imagenet
from course_lib.encoders.packaged import available

__all__ = ["ImageEncoder", "Timing", "available", "encode", "imagenet"]
