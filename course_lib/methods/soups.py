"""Soups: several fine-tunings that began at one place, averaged into one network of the price of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from course_lib.errors import BadInput
from course_lib.measure.report import check_metric, confusion_matrix, scores
from course_lib.methods.classifier import check_labels, need_validation
from course_lib.methods.tuned import BIAS, KERNEL, Tuned
from course_lib.tasks.task import Split

Network = TypeVar("Network", bound=Tuned)


def uniform_soup(networks: Sequence[Network], *, name: str = "uniform soup") -> Network:
    r"""Return one network whose weights are the mean of several.

    .. math:: w = \frac1m \sum_{i=1}^m w_i

    An ensemble of m networks answers m times; a soup is one network and answers once. The mean of weights is
    worth something only where the networks lie in one valley of the loss, which those that began at the same
    weights, *the last layer included*, and did not run far often do. Others are refused.

    Parameters
    ----------
    networks : sequence of FineTuned, or of TextFineTuned
        From fine-tunings of one encoder for the same classes from one start (``init="probe"`` on the same
        labels, or the same seed), with any seeds of batches, rates and numbers of epochs. Where they
        were cut at different blocks, the one that trained most carries the others.
    name : str

    Returns
    -------
    FineTuned or TextFineTuned
        ``.seconds`` and ``.chosen["fits"]`` say what all the fits together cost.

    Raises
    ------
    BadInput
        Without a network, for networks of different kinds, shapes, classes or starts.

    References
    ----------
    Wortsman et al. (2022), "Model soups: averaging weights of multiple fine-tuned models improves accuracy
    without increasing inference time", ICML. Izmailov et al. (2018), "Averaging weights leads to wider optima
    and better generalization", UAI.
    """
    check_one_valley(networks)
    return _soup(networks, networks, name)


def greedy_soup(
    networks: Sequence[Network], validation: Split, *, metric: str = "accuracy", name: str = "greedy soup"
) -> Network:
    """Return the mean of those networks that do the mean no harm on validation.

    The network that is best on validation comes first; then, from better to worse, each is stirred in, and
    stays when the soup is at least as good with it as without. So on validation a greedy soup
    is never below the best single network.

    Parameters
    ----------
    networks : sequence of FineTuned, or of TextFineTuned
        As for `uniform_soup`.
    validation : Split
        Labelled examples that choose order and ingredients. Choosing on test would flatter the result.
    metric : {"accuracy", "balanced_accuracy", "macro_f1"}
    name : str

    Returns
    -------
    FineTuned or TextFineTuned
        ``.chosen["ingredients"]`` names those that stayed; ``.chosen_path`` tells each step: the ``network``
        by its place in `networks`, its score ``alone``, the ``soup``'s with it, and whether it was ``kept``.

    Raises
    ------
    BadInput
        As `uniform_soup`; an empty validation set, one of other classes, or an unknown metric.

    References
    ----------
    Wortsman et al. (2022), "Model soups", recipe 1.
    """
    check_one_valley(networks)
    check_metric(metric)
    need_validation(validation.y)
    check_classes(networks[0], validation)

    def score(network: Tuned) -> float:
        return _score(network, validation, metric)

    alone = [score(network) for network in networks]
    kept: list[int] = []
    best, path = -np.inf, []
    for place in sorted(range(len(networks)), key=lambda k: -alone[k]):  # ties in the order given
        tried = [networks[k] for k in (*kept, place)]
        reached = alone[place] if not kept else score(_soup(tried, networks, name))
        taken = reached >= best
        path.append({"network": float(place), "alone": alone[place], "soup": reached, "kept": float(taken)})
        if taken:
            best, kept = reached, [*kept, place]
    soup = _soup([networks[k] for k in kept], networks, name)
    soup.chosen["validation"] = best
    soup.chosen_path = tuple(path)
    return soup


def mean_weights(weights: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the mean of each weight, summed in float64; what all share is passed on as it is.

    Parameters
    ----------
    weights : sequence of dict of str to numpy.ndarray
        The same names and shapes.

    Examples
    --------
    >>> mean_weights([{"w": np.zeros(2, np.float32)}, {"w": np.ones(2, np.float32)}])["w"].tolist()
    [0.5, 0.5]
    """
    first = weights[0]
    return {name: _mean([given[name] for given in weights]) for name in first}


def _mean(arrays: Sequence[np.ndarray]) -> np.ndarray:
    first = arrays[0]
    if all(same(array, first) for array in arrays[1:]):  # frozen: a table of words is not added up
        return first
    total = np.zeros(first.shape, np.float64)
    for array in arrays:
        total += array
    return np.asarray(total / len(arrays), first.dtype)


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Return whether two arrays hold the same; two views of one frozen table are not read for that."""
    one = a.ctypes.data == b.ctypes.data and a.shape == b.shape and a.strides == b.strides
    return one or np.array_equal(a, b)


def check_one_valley(networks: Sequence[Tuned]) -> None:
    """Make sure that networks are of one shape and began at one place.

    Raises
    ------
    BadInput
        Naming the first that differs, and in what.
    """
    if not networks:
        raise BadInput("There is no network to average.", "Give fine-tuned ones, from methods.fine_tune.")
    first = networks[0]
    for network in networks:
        if not isinstance(network, Tuned) or type(network) is not type(first):
            kinds = f"{type(first).__name__} and {type(network).__name__}"
            raise BadInput(
                f"Weights of {kinds} cannot be averaged.",
                "Give networks of one kind from methods.fine_tune; methods.ensemble takes any classifiers.",
            )
        if network.class_names != first.class_names:
            raise BadInput(
                f"{first.name} tells {', '.join(first.class_names)} apart, {network.name} "
                f"{', '.join(network.class_names)}.",
                "Average networks for the same classes in the same order.",
            )
        check_start(first, network.start, network.name)


def check_start(base: Tuned, start: dict[str, np.ndarray], whose: str) -> None:
    """Make sure that weights are of the network `base` and are where it began.

    Raises
    ------
    BadInput
        For other names or shapes, or another start.
    """
    odd = sorted(n for n, a in start.items() if n not in base.start or base.start[n].shape != a.shape)
    odd += sorted(base.start.keys() - start.keys() - {KERNEL, BIAS})
    if odd:
        raise BadInput(
            f"{base.name} and {whose} are different networks: {len(odd)} weights do not match, for "
            f"instance {odd[0]}.",
            "Fine-tune the same encoder for the same classes.",
        )
    apart = [n for n, a in start.items() if not same(a, base.start[n])]
    if apart:
        last = set(apart) <= {KERNEL, BIAS}
        raise BadInput(
            f"{base.name} and {whose} began at different places: {'the last layer' if last else apart[0]} "
            "differs, and between two valleys of the loss lies nothing that works.",
            "Start both from one probe: fine_tune(..., init=probe). methods.ensemble asks for no common "
            "start.",
        )


def check_classes(network: Tuned, split: Split) -> None:
    """Make sure that a split has the classes that a network knows.

    Raises
    ------
    BadInput
    """
    if tuple(split.class_names) != tuple(network.class_names):
        raise BadInput(
            f"{network.name} tells {', '.join(network.class_names)} apart; {split.name} has "
            f"{', '.join(split.class_names)}.",
            "Give a split with the same classes in the same order.",
        )
    check_labels(split.y, len(network.class_names), split.name)


def _soup(chosen: Sequence[Network], paid: Sequence[Network], name: str) -> Network:
    """Return the mean of `chosen`, with what all of `paid` cost."""
    carries = max(chosen, key=lambda network: network.parameters_trained)
    soup = carries.with_weights(mean_weights([network.weights for network in chosen]), name)
    soup.seconds = {
        what: sum(network.seconds.get(what, 0.0) for network in paid) for what in ("features", "fit")
    }
    soup.chosen = {"fits": len(paid), "ingredients": [network.name for network in chosen]}
    return soup


def _score(network: Tuned, split: Split, metric: str) -> float:
    k = len(network.class_names)
    return float(scores(confusion_matrix(split.y, network.predict(split), k))[metric])
