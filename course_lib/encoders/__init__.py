"""What was learnt elsewhere: networks that turn examples into features."""

from course_lib.encoders.chunks import encode_chunks
from course_lib.encoders.four_bits import four_bit
from course_lib.encoders.images import ImageEncoder, encode, imagenet
from course_lib.encoders.joining import JoinedEncoder, joined
from course_lib.encoders.layers import LayerEncoder, by_layer
from course_lib.encoders.memory import forget_networks
from course_lib.encoders.packaged import available
from course_lib.encoders.patches import PatchEncoder, patch_dictionary
from course_lib.encoders.shorten import shortened
from course_lib.encoders.sounds import (
    SoundEncoder,
    SpectrogramEncoder,
    cepstra,
    sound_pictures,
    sounds,
    spectrograms,
)
from course_lib.encoders.spectrogram import (
    cepstrum,
    hertz_to_mel,
    mel_filters,
    mel_spectrogram,
    mel_to_hertz,
    power_spectrogram,
)
from course_lib.encoders.text import TextEncoder, english_bert, multilingual_bert
from course_lib.encoders.text_layers import TextLayerEncoder, text_layers
from course_lib.encoders.timing import Timing

__all__ = [
    "ImageEncoder",
    "JoinedEncoder",
    "LayerEncoder",
    "PatchEncoder",
    "SoundEncoder",
    "SpectrogramEncoder",
    "TextEncoder",
    "TextLayerEncoder",
    "Timing",
    "available",
    "by_layer",
    "cepstra",
    "cepstrum",
    "encode",
    "encode_chunks",
    "english_bert",
    "forget_networks",
    "four_bit",
    "hertz_to_mel",
    "imagenet",
    "joined",
    "mel_filters",
    "mel_spectrogram",
    "mel_to_hertz",
    "multilingual_bert",
    "patch_dictionary",
    "power_spectrogram",
    "shortened",
    "sound_pictures",
    "sounds",
    "spectrograms",
    "text_layers",
]
