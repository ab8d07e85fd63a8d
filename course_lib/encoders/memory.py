"""Memory: packaged sentence networks stay in it for the next encoder, until they are told to go."""

from __future__ import annotations

import gc

from course_lib.encoders.text import _english, _multilingual


def forget_networks() -> None:
    """Give back the memory that packaged sentence networks take.

    An encoder that is still held keeps its own, so let go of those first (``del``); a new one reads its
    weights again. Features on disk stay.

    Examples
    --------
    >>> from course_lib.encoders import english_bert
    >>> encoder = english_bert()
    >>> del encoder
    >>> forget_networks()
    """
    for reader in (_english, _multilingual):
        reader.cache_clear()
    gc.collect()
