"""Closed forms of domain adaptation against skada's versions of them, on the same features."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from course_lib.bench.figures import Figure, alternate
from course_lib.errors import BadInput
from course_lib.tasks import available, cifar10, grey
from course_lib.tasks.task import Task

ROWS = 5000
TEST = 2000
PIXELS = 64
WIDTH = 1280
CLASSES = 10
FEW_ROWS = 400
FEW_WIDTH = 40
MATCHED = 1000
HERE, THERE = 1, -2
"""How skada numbers a source and a target."""

SLOW = 20
"""Seconds after which a comparison is repeated twice instead of five times."""

DIMS = 50
"""Of subspace alignment, for both."""

EXTRA = "pip install 'carryover[rivals]'"


@dataclass(frozen=True, eq=False)
class Domains:
    """Features of a source with labels, of a target without, and of the target's test set.

    Parameters
    ----------
    what : str
        In words.
    source, y, validation, y_validation, target, test, y_test : numpy.ndarray
        Features ``(n, d)`` float32 and labels ``(n,)``.
    """

    what: str
    source: np.ndarray
    y: np.ndarray
    validation: np.ndarray
    y_validation: np.ndarray
    target: np.ndarray
    test: np.ndarray
    y_test: np.ndarray

    def probe(self, moved: Callable[[np.ndarray], np.ndarray] | None = None, **options: Any) -> Any:
        """Return a head fitted on the source's features, moved or not."""
        from course_lib.methods import fit_probe

        x, x_val = (self.source, self.validation) if moved is None else map(moved, self._known)
        fit = fit_probe(x, self.y, x_val, self.y_validation, classes=CLASSES, **options)
        return fit.head

    @property
    def _known(self) -> tuple[np.ndarray, np.ndarray]:
        return self.source, self.validation

    def score(self, head: Any, test: np.ndarray) -> float:
        """Return the accuracy of a head on the target's test set, as it was moved."""
        return float(np.mean(head.predict_proba(test).argmax(axis=1) == self.y_test))


@dataclass(frozen=True, eq=False)
class Duel:
    """One method in two implementations.

    Parameters
    ----------
    name : str
    ours, rival : callable
        Fit, and move or weigh what has to be; this is timed.
    scores : callable
        Returns the accuracies of both.
    rows : int
        Of each domain, given to both.
    note : str
    """

    name: str
    ours: Callable[[], Any]
    rival: Callable[[], Any]
    scores: Callable[[], tuple[float, float]]
    rows: int
    note: str = ""


def closed_forms(quick: bool = False) -> list[Figure]:
    """Compare each closed form with skada's, fitted on the same rows, both ending in one probe's accuracy.

    Raises
    ------
    BadInput
        When skada is not installed, with the extra that brings it.
    """
    version = _version()
    if quick:
        domains = made_up()
    else:
        domains = pictures() if available("cifar10") else made_up(ROWS, WIDTH)
    plain = domains.score(domains.probe(), domains.test)
    half = 196 * np.sqrt(plain * (1 - plain) / len(domains.y_test))
    figures = []
    for duel in _duels(domains):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the rivals have some of their own
            first = alternate(duel.ours, duel.rival, 1)  # loads libraries
            slow = max(first.rival + first.ours) > SLOW
            pairs = alternate(duel.ours, duel.rival, 2 if quick or slow else 5)
            ours, rival = duel.scores()
        n, d = duel.rows, domains.source.shape[1]
        figures.append(
            Figure(
                "closed_forms",
                f"{duel.name} of {n:,} × {d:,} features",
                1000 * float(np.median(pairs.ours)),
                "ms",
                version,
                *pairs.times_faster,
                accuracy=ours,
                rival_accuracy=rival,
                goal="at least 1 ×, same accuracy within its interval",
                note=f"{domains.what}; not adapted {plain:.1%} ± {half:.1f}. {duel.note}".strip(),
            )
        )
    return figures


def _version() -> str:
    try:
        import ot
        import skada
    except ImportError as error:
        raise BadInput(
            f"This comparison needs skada and POT ({error}).", f"Install the extra: {EXTRA}."
        ) from error
    return f"skada {skada.__version__}, POT {ot.__version__}"


def pictures() -> Domains:
    """Return features of photographs in colour, and of others in grey."""
    from course_lib import encoders

    whole = cifar10(train=2 * ROWS)
    first = replace(whole, train=whole.train.take(np.arange(ROWS)))
    other: Task = grey(
        replace(
            whole, train=whole.train.take(np.arange(ROWS, 2 * ROWS)), test=whole.test.sample(TEST, seed=0)
        )
    )
    encoder = encoders.imagenet(PIXELS)
    x, x_val, away, test = (
        encoder.encode(split) for split in (first.train, first.validation, other.train, other.test)
    )
    told = f"photographs in colour to photographs in grey, {PIXELS} pixels"
    return Domains(told, x, first.train.y, x_val, first.validation.y, away, test, other.test.y)


def made_up(rows: int = FEW_ROWS, width: int = FEW_WIDTH, seed: int = 0) -> Domains:
    """Return features of ten clouds, and of the same moved, stretched and turned a little."""
    rng = np.random.default_rng(seed)
    middles = rng.normal(size=(CLASSES, width))
    mix = rng.normal(size=(width, width)) / np.sqrt(width)
    bend = np.eye(width) + 0.3 * rng.normal(size=(width, width)) / np.sqrt(width)
    offset = 2 * rng.normal(size=width)

    def draw(n: int, away: bool) -> tuple[np.ndarray, np.ndarray]:
        y = rng.integers(CLASSES, size=n)
        x = middles[y] + 3 * rng.normal(size=(n, width)) @ mix
        return (x @ bend + offset if away else x).astype(np.float32), y

    (x, y), (x_val, y_val) = draw(rows, False), draw(rows, False)
    (away, _), (test, y_test) = draw(rows, True), draw(rows, True)
    return Domains("made-up clouds, moved and turned", x, y, x_val, y_val, away, test, y_test)


def _duels(domains: Domains) -> list[Duel]:
    """Return all comparisons."""
    import skada
    from sklearn.preprocessing import StandardScaler

    from course_lib import methods
    from course_lib.methods.transport import EPSILON

    dims = min(DIMS, domains.source.shape[1] // 2)
    # skada's MMD mapping is cubic in the rows: it gets as many as ours takes.
    few = replace(
        domains, source=domains.source[:MATCHED], y=domains.y[:MATCHED], target=domains.target[:MATCHED]
    )
    gamma = 0.5 / _median_square(few.source)
    subspace = partial(methods.fit_subspace_alignment, dims=dims)
    transport = skada.EntropicOTMappingAdapter(norm="median", reg_e=EPSILON, tol=1e-3)
    return [
        _moving("own scales", methods.fit_standardisation, skada.PerDomain(StandardScaler()), domains),
        _moving(
            "CORAL",
            methods.fit_coral,
            skada.CORALAdapter(),
            domains,
            "Theirs chooses its ridge (Ledoit and Wolf), ours has the published one",
        ),
        _moving(
            f"subspace alignment, {dims} directions",
            subspace,
            skada.SubspaceAlignmentAdapter(dims, random_state=0),
            domains,
        ),
        _moving(
            "entropic transport",
            methods.fit_optimal_transport,
            transport,
            domains,
            "Theirs plans for all rows, ours for a sample of 1,000 of each domain",
        ),
        _moving(
            "MMD matching",
            methods.fit_mmd_matching,
            skada.MMDLSConSMappingAdapter(gamma=gamma, max_iter=100),
            few,
            f"Theirs is cubic in the rows and uses the source's labels: both get {MATCHED:,} of each domain",
        ),
        _weighing(domains, skada.DiscriminatorReweightAdapter()),
    ]


def _stacked(domains: Domains) -> dict[str, np.ndarray]:
    """Return both domains as skada takes them; labels of the target are masked."""
    known, unknown = len(domains.source), len(domains.target)
    return {
        "X": np.vstack([domains.source, domains.target]),
        "y": np.concatenate([domains.y, np.full(unknown, -1)]),
        "sample_domain": np.repeat([HERE, THERE], [known, unknown]),
    }


def _moving(name: str, fit: Callable[..., Any], adapter: Any, domains: Domains, note: str = "") -> Duel:
    """Return a duel of two maps. Ours moves the target, theirs the source, for which it needs a new probe."""
    from skada.base import BaseAdapter

    stacked = _stacked(domains)

    def ours() -> np.ndarray:
        return np.asarray(fit(domains.source, domains.target)(domains.target))

    def rival() -> np.ndarray:
        return np.asarray(adapter.fit_transform(**stacked))

    def theirs(x: np.ndarray, domain: int) -> np.ndarray:
        options = {"allow_source": True} if isinstance(adapter, BaseAdapter) else {}
        moved = adapter.transform(x, sample_domain=np.full(len(x), domain), **options)
        return np.asarray(moved, np.float32)

    def scores() -> tuple[float, float]:
        moved = fit(domains.source, domains.target)(domains.test)
        adapter.fit_transform(**stacked)
        head = domains.probe(lambda x: theirs(x, HERE))
        return domains.score(domains.probe(), moved), domains.score(head, theirs(domains.test, THERE))

    counted = "Not counted: their probe on the moved source, which ours does without"
    return Duel(name, ours, rival, scores, len(domains.source), f"{note}. {counted}" if note else counted)


def _weighing(domains: Domains, adapter: Any) -> Duel:
    """Return the duel of two density ratios."""
    from course_lib.measure import density_ratio
    from course_lib.methods.weighting import FEWEST, flattening

    stacked = _stacked(domains)

    def ours() -> np.ndarray:
        return density_ratio(domains.source, domains.target).weights

    def rival() -> np.ndarray:
        adapter.fit(**stacked)
        return theirs(domains.source)

    def theirs(x: np.ndarray) -> np.ndarray:
        return np.asarray(adapter.compute_weights(x, sample_domain=np.full(len(x), HERE)))

    def scores() -> tuple[float, float]:
        ratio = density_ratio(domains.source, domains.target)
        power = flattening(ratio.weights, FEWEST)
        head = domains.probe(example_weight=(ratio.weights**power, ratio(domains.validation) ** power))
        other = domains.probe(example_weight=(rival(), theirs(domains.validation)))
        return domains.score(head, domains.test), domains.score(other, domains.test)

    note = (
        "Ours tries five strengths in four folds, on 50 directions; theirs fits once, on all features, and "
        "weighs the rows that it was fitted on. In this version its weights are source over target"
    )
    return Duel("importance weights", ours, rival, scores, len(domains.source), note)


def _median_square(x: np.ndarray) -> float:
    """Return the median squared distance between rows."""
    squares = np.square(x).sum(axis=1)
    between = squares[:, None] + squares - 2 * x @ x.T
    return float(np.median(between[np.triu_indices(len(x), 1)]))
