"""A sentence encoder that guesses hidden pieces: its network, and a masked language model's head."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from course_lib.encoders.text import BATCH_TOKENS, TextEncoder, by_length
from course_lib.methods.body_torch import ROWS, TABLE, TextBody
from course_lib.methods.masking import Masked, Masker
from course_lib.methods.recipe_masked import MaskedRecipe
from course_lib.methods.tuned import BIAS, KERNEL

HEAD = "head"
TRANSFORM = tuple(
    f"{HEAD}/{part}" for part in ("dense.weight", "dense.bias", "LayerNorm.weight", "LayerNorm.bias")
)
"""The part of a head that does not depend on the vocabulary."""

HEAD_BIAS = f"{HEAD}/bias"
VIEWS = 3
"""How often each held-out sentence is masked for judging, always in the same places."""


class MaskedBody(TextBody):
    r"""The body of an encoder with the head of BERT's masked language model, tied to the word embeddings.

    .. math:: p(w \mid h) = \operatorname{softmax}_w\bigl(
              e_w \cdot \mathrm{LN}(\mathrm{GELU}(W h + b)) + c_w\bigr)

    over the `pieces` alone: those that never occur need no probability, and 250,000 columns would cost more
    than the network.

    Sentence encoders come without this head. A new one starts at what costs the body least: c is the
    log-frequency of each piece, and the scores are small beside it, so that training begins at the entropy of
    the words rather than at the logarithm of their number.

    Parameters
    ----------
    encoder : TextEncoder
    recipe : MaskedRecipe
    pieces : numpy.ndarray
        ``(p,)`` sorted numbers of the pieces that can be guessed.
    counts : numpy.ndarray
        ``(p,)`` how often each occurs in training.
    transform : mapping of str to numpy.ndarray, optional
        `TRANSFORM` of another head of this body.

    References
    ----------
    Devlin et al. (2019), "BERT". Press & Wolf (2017), "Using the output embedding" (tied).
    """

    def __init__(
        self,
        encoder: TextEncoder,
        recipe: MaskedRecipe,
        pieces: np.ndarray,
        counts: np.ndarray,
        transform: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        import torch

        super().__init__(encoder, recipe, 0, pieces if recipe.embeddings == "trained" else None)
        self.pieces = pieces
        self.epsilon = float(encoder.model.config.layer_norm_eps)
        table = self.start[TABLE][pieces]
        self._fixed = torch.from_numpy(table).to(self.device)
        first = {**new_head(table, counts, recipe.seed), **(transform or {})}
        self.head = {
            name: torch.nn.Parameter(torch.tensor(a, device=self.device)) for name, a in first.items()
        }

    @property
    def parameters(self) -> dict[str, Any]:
        """The torch parameters above the cut by name, those of the head too."""
        body = {name: p for name, p in super().parameters.items() if name not in (KERNEL, BIAS)}
        return {**body, **self.head}

    def let_move(self, moves: Callable[[str], bool]) -> tuple[str, ...]:
        """Make trainable what `moves` says by name, and nothing else; return the names."""
        for name, parameter in self.parameters.items():
            parameter.requires_grad_(moves(name))
        return tuple(name for name, parameter in self.parameters.items() if parameter.requires_grad)

    def guesses(self, masked: Masked) -> Any:
        """Return the scores ``(k, p)`` of every piece at every place to be guessed, as a torch tensor."""
        import torch
        from torch.nn import functional

        batch = masked.tokens.padded(range(len(masked.tokens.ids)), self.encoder.tokenizer.pad_token_id)
        states = self.upper(**self.states(batch)).last_hidden_state
        rows, places = (torch.from_numpy(x).to(self.device) for x in (masked.rows, masked.places))
        weight, bias, gain, shift = (self.head[name] for name in TRANSFORM)
        turned = functional.gelu(functional.linear(states[rows, places].float(), weight, bias))
        normal = functional.layer_norm(turned, gain.shape, gain, shift, self.epsilon)
        return functional.linear(normal, self.embeddings, self.head[HEAD_BIAS])

    @property
    def embeddings(self) -> Any:
        """The embeddings of the pieces ``(p, width)``, those that are trained where they are."""
        return self.parameters.get(ROWS, self._fixed)

    def judged(self, masker: Masker) -> tuple[float, float]:
        """Return masked accuracy, and log-loss in nats per piece; the same places at every call."""
        import torch

        self.upper.eval()
        hits, loss, count = 0, 0.0, 0
        with torch.inference_mode():
            for view in range(VIEWS):
                for number, rows in enumerate(by_length(masker.lengths, BATCH_TOKENS)):
                    masked = masker(rows, np.random.default_rng([view, number]), hidden=1.0)
                    scores, targets = self.guesses(masked), torch.from_numpy(masked.targets).to(self.device)
                    loss += float(torch.nn.functional.cross_entropy(scores, targets, reduction="sum"))
                    hits += int((scores.argmax(dim=1) == targets).sum())
                    count += len(targets)
        return hits / count, loss / count


def new_head(table: np.ndarray, counts: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Return a head that knows how often each piece occurs, and nothing else yet.

    Parameters
    ----------
    table : numpy.ndarray
        ``(p, width)`` embeddings of the pieces.
    counts : numpy.ndarray
        ``(p,)``; one is added to each.
    seed : int
        Of the transform, drawn as BERT's.
    """
    width = table.shape[1]
    rng = np.random.default_rng([seed, 0, 3])
    length = np.sqrt(np.square(table, dtype=np.float64).sum(axis=1).mean())
    share = (counts + 1.0) / (counts + 1.0).sum()
    parts = (
        rng.normal(0, 0.02, (width, width)),
        np.zeros(width),
        np.full(width, 1 / length),  # scores that vary by one
        np.zeros(width),
    )
    found = {**dict(zip(TRANSFORM, parts, strict=True)), HEAD_BIAS: np.log(share)}
    return {name: np.asarray(array, np.float32) for name, array in found.items()}
