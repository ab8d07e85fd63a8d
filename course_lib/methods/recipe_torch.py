"""How a sentence encoder is fine-tuned, in one place: checked once, told in words, compared when resumed."""

from __future__ import annotations

from dataclasses import dataclass

from course_lib.errors import BadInput
from course_lib.methods.settings import Settings

TRAINS = ("weights", "biases", "low rank")
"""All weights above the cut; their biases alone (BitFit); or low-rank terms added to them (LoRA)."""

WORDS = ("frozen", "trained")
PRECISION = ("float32", "bfloat16")
EMBEDDINGS, HALF = "embeddings", "half"


@dataclass(frozen=True, kw_only=True)
class TextRecipe(Settings):
    """The settings of `fine_tune`, `lora` and `bitfit` for sentences; see there.

    Raises
    ------
    BadInput
        For a setting that is not among its choices or out of its range.
    """

    trains: str = "weights"
    freeze_to: str | int | None = HALF
    embeddings: str = "frozen"
    epochs: int = 6
    learning_rate: float = 3e-4
    depth_decay: float = 1.0
    weight_decay: float = 0.01
    dropout: float = 0.1
    clip: float = 1.0
    precision: str = "float32"
    device: str = "cpu"
    rank: int = 0
    alpha: float = 0.0
    targets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        choices = {"trains": TRAINS, "embeddings": WORDS, "precision": PRECISION}
        ranges = {
            "weight_decay": (0.0, 1.0),
            "dropout": (0.0, 0.9),
            "clip": (0.0, float("inf")),
        }
        self._check(choices, at_least={"rank": int(self.trains == "low rank")}, ranges=ranges)
        if self.embeddings == "trained" and self.freeze_to is not None:
            raise BadInput(
                f"embeddings='trained' with freeze_to={self.freeze_to!r}, which freezes them.",
                "Give freeze_to=None as well.",
            )

    @property
    def low_rank(self) -> bool:
        """Whether low-rank terms are trained."""
        return self.trains == "low rank"

    def cut(self, depth: int) -> int | None:
        """Return how many layers stay as they are, the embeddings below them too; None: nothing does.

        Parameters
        ----------
        depth : int
            Layers of the network.

        Raises
        ------
        BadInput
            When `freeze_to` names no layer, or leaves none to train.

        Examples
        --------
        >>> [TextRecipe(freeze_to=to).cut(12) for to in (4, "half", "embeddings", None)]
        [5, 6, 0, None]
        """
        if self.freeze_to is None:
            return None
        if self.freeze_to in (EMBEDDINGS, HALF):
            return 0 if self.freeze_to == EMBEDDINGS else depth // 2
        if isinstance(self.freeze_to, int) and 0 <= self.freeze_to < depth - 1:
            return self.freeze_to + 1
        raise BadInput(
            f"freeze_to={self.freeze_to!r}, of a network whose {depth} layers are 0 to {depth - 1}.",
            f"Give 0 to {depth - 2}, 'half', 'embeddings' for all layers, or None to train these as well.",
        )

    def rate(self, step: int, steps: int) -> float:
        r"""Return the learning rate of a step: linear warm-up, then linearly down to zero.

        .. math:: \eta_t = \eta \min\bigl(\tfrac{t+1}{w}, \tfrac{T-t}{T-w}\bigr)

        with w warm-up steps of T (Devlin et al., 2019, "BERT").

        Examples
        --------
        >>> recipe = TextRecipe(learning_rate=1.0, warmup=0.2)
        >>> [round(recipe.rate(t, 10), 2) for t in range(10)]
        [0.5, 1.0, 1.0, 0.88, 0.75, 0.62, 0.5, 0.38, 0.25, 0.12]
        """
        return super().rate(step, steps)

    def _fallen(self, step: int, steps: int) -> float:
        return 1 - step / steps
