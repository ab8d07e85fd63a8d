"""What is to be learnt: data with labels in three disjoint splits."""

from course_lib.tasks.altered import grey, shrunk, shuffled_labels, some_classes
from course_lib.tasks.catalogue import available, first_available, load, status
from course_lib.tasks.cifar import cifar10, cifar100
from course_lib.tasks.domains import by_domain, leave_one_domain_out
from course_lib.tasks.folder import image_folder
from course_lib.tasks.handwriting import digits
from course_lib.tasks.hub_sentences import pawsx, xnli
from course_lib.tasks.made_like import made_like
from course_lib.tasks.sentence_table import sentence_table
from course_lib.tasks.sentences import ParallelSentences, glosses, parallel_sentences, topics
from course_lib.tasks.solar import solar_cells
from course_lib.tasks.sounds import one_second, spoken_digits
from course_lib.tasks.task import Split, Task, stratified_rows
from course_lib.tasks.tones import tones
from course_lib.tasks.wav import RATE, read_wav

__all__ = [
    "RATE",
    "ParallelSentences",
    "Split",
    "Task",
    "available",
    "by_domain",
    "cifar10",
    "cifar100",
    "digits",
    "first_available",
    "glosses",
    "grey",
    "image_folder",
    "leave_one_domain_out",
    "load",
    "made_like",
    "one_second",
    "parallel_sentences",
    "pawsx",
    "read_wav",
    "sentence_table",
    "shrunk",
    "shuffled_labels",
    "solar_cells",
    "some_classes",
    "spoken_digits",
    "status",
    "stratified_rows",
    "tones",
    "topics",
    "xnli",
]
