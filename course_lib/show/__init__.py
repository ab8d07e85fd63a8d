"""Figures, sentences and progress; knows nothing of the frameworks behind the numbers.

matplotlib is imported when the first figure is drawn.
"""

from course_lib.show.advice import QUESTIONS, Advice, advice
from course_lib.show.attention import attention
from course_lib.show.charts import bars, confusion, learning_curve, recall_per_class, shares, tradeoff
from course_lib.show.costs import costs
from course_lib.show.diagrams import transfer_map, transfer_steps
from course_lib.show.differences import differences
from course_lib.show.landscape import landscape, losses
from course_lib.show.languages import two_languages
from course_lib.show.layers import layer_similarity, weight_movement
from course_lib.show.lines import lines
from course_lib.show.maps import feature_map
from course_lib.show.mosaic import mosaic
from course_lib.show.own_picture import own_picture
from course_lib.show.own_sentence import own_sentence
from course_lib.show.photographs import pictures, pictures_by
from course_lib.show.picture import Picture
from course_lib.show.progress import Progress, progress
from course_lib.show.reading import say
from course_lib.show.reliability import reliability
from course_lib.show.retrieval import retrieval
from course_lib.show.scatter import scatter
from course_lib.show.settings import ANSWERS, SETTINGS, link_to, setting_of
from course_lib.show.shift import shift
from course_lib.show.spectrogram import spectrograms
from course_lib.show.style import styled
from course_lib.show.tokens import tokens
from course_lib.show.training import LiveTraining, training
from course_lib.show.upload import Upload
from course_lib.show.widgets import Explorer, explore

__all__ = [
    "ANSWERS",
    "QUESTIONS",
    "SETTINGS",
    "Advice",
    "Explorer",
    "LiveTraining",
    "Picture",
    "Progress",
    "Upload",
    "advice",
    "attention",
    "bars",
    "confusion",
    "costs",
    "differences",
    "explore",
    "feature_map",
    "landscape",
    "layer_similarity",
    "learning_curve",
    "lines",
    "link_to",
    "losses",
    "mosaic",
    "own_picture",
    "own_sentence",
    "pictures",
    "pictures_by",
    "progress",
    "recall_per_class",
    "reliability",
    "retrieval",
    "say",
    "scatter",
    "setting_of",
    "shares",
    "shift",
    "spectrograms",
    "styled",
    "tokens",
    "tradeoff",
    "training",
    "transfer_map",
    "transfer_steps",
    "two_languages",
    "weight_movement",
]
