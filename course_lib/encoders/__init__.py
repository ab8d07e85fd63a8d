"""What was learnt elsewhere: networks that turn examples into features."""

from course_lib.encoders.images import ImageEncoder, Timing, encode, imagenet

__all__ = ["ImageEncoder", "Timing", "encode", "imagenet"]
