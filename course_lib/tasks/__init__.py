"""What is to be learnt: data with labels in three disjoint splits."""

from course_lib.tasks.altered import grey, shrunk, shuffled_labels, some_classes
from course_lib.tasks.catalogue import available, first_available, load, status
from course_lib.tasks.cifar import cifar10, cifar100
from course_lib.tasks.folder import image_folder
from course_lib.tasks.handwriting import digits
from course_lib.tasks.hub_sentences import pawsx, xnli
from course_lib.tasks.sentence_table import sentence_table
from course_lib.tasks.sentences import ParallelSentences, glosses, parallel_sentences, topics
from course_lib.tasks.solar import solar_cells
from course_lib.tasks.task import Split, Task, stratified_rows

__all__ = [
    "ParallelSentences",
    "Split",
    "Task",
    "available",
    "cifar10",
    "cifar100",
    "digits",
    "first_available",
    "glosses",
    "grey",
    "image_folder",
    "load",
    "parallel_sentences",
    "pawsx",
    "sentence_table",
    "shrunk",
    "shuffled_labels",
    "solar_cells",
    "some_classes",
    "status",
    "stratified_rows",
    "topics",
    "xnli",
]
