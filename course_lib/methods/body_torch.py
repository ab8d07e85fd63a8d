"""A sentence encoder with a new last layer, cut in two: the frozen trunk, and the part that is trained."""

from __future__ import annotations

import copy
import re
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from course_lib.encoders.text import BATCH_TOKENS, TextEncoder, Tokens, by_length, pooled
from course_lib.errors import BadInput
from course_lib.methods.networks import CLASSIFIER
from course_lib.methods.recipe_torch import TextRecipe
from course_lib.methods.tuned import BIAS, KERNEL

KEPT_BYTES = 2**29
"""Of trunk activations of one split; larger ones are computed anew in each step."""

TABLE = "embeddings/word_embeddings.weight"
"""The table of word embeddings, most of a multilingual network."""

ROWS = "embeddings/word_embeddings.rows"
"""Those of its rows that are trained."""

_LAYER = re.compile(r"encoder\.layer\.(\d+)\.(.+)")
_KEPT = 3
_bodies: OrderedDict[tuple[Any, ...], TextBody] = OrderedDict()


class TextBody:
    """The network of a fine-tuning: a trunk that stays as it is, an upper part, and a last layer.

    Parameters
    ----------
    encoder : TextEncoder
        Is not changed. The trunk is its own lower part, in its own memory; the upper part is a copy.
    recipe : TextRecipe
        Where it is cut.
    classes : int
    seen : numpy.ndarray, optional
        Numbers of the word embeddings that are trained.

    Attributes
    ----------
    upper : transformers.PreTrainedModel
    trunk : transformers.PreTrainedModel or None
    cut : int or None
        Layers in the trunk, the embeddings below them; None: there is no trunk.
    start : dict of str to numpy.ndarray
        The encoder's weights by name, ``"layer3/output.dense.weight"``, read-only and not copied.
    holds : object
        Whose weights the network has now.
    """

    def __init__(
        self, encoder: TextEncoder, recipe: TextRecipe, classes: int, seen: np.ndarray | None = None
    ) -> None:
        import torch

        self.encoder, self.depth, self.seen = encoder, depth_of(encoder), seen
        self.cut = recipe.cut(self.depth)
        self.device = torch.device(recipe.device)
        self.start = _named(encoder.model, self.depth)
        self.trunk = None if self.cut is None else _lower(encoder.model, self.cut, self.device)
        self.upper = _upper(encoder, self.depth, self.cut, seen).to(self.device)
        self.kernel = torch.nn.Parameter(torch.zeros(encoder.dim, classes, device=self.device))
        self.bias = torch.nn.Parameter(torch.zeros(classes, device=self.device))
        self.holds: object = None

    @property
    def parameters(self) -> dict[str, Any]:
        """The torch parameters above the cut by name, the last layer's too."""
        named = {_name(n, self.cut or 0): p for n, p in self.upper.named_parameters()}
        return {**named, KERNEL: self.kernel, BIAS: self.bias}

    def declare(self, recipe: TextRecipe) -> tuple[str, ...]:
        """Set what is trainable and how much is dropped out; return the names of what may move."""
        import torch

        for module in self.upper.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = recipe.dropout
        moving = []
        for name, parameter in self.parameters.items():
            parameter.requires_grad_(_moves(name, recipe.trains))
            if parameter.requires_grad:
                moving.append(name)
        return tuple(moving)

    def assign(self, weights: Mapping[str, np.ndarray]) -> None:
        """Give the part above the cut these weights, by name."""
        import torch

        with torch.no_grad():
            for name, parameter in self.parameters.items():
                if name in weights:
                    parameter.copy_(torch.tensor(weights[name]))

    def give(self, owner: object, weights: Mapping[str, np.ndarray]) -> None:
        """Put these weights into the network, unless it has them."""
        if self.holds is not owner:
            self.assign(weights)
            self.holds = owner

    def current(self, names: tuple[str, ...] | None = None) -> dict[str, np.ndarray]:
        """Return copies of weights above the cut."""
        return {
            name: parameter.detach().cpu().numpy().copy()
            for name, parameter in self.parameters.items()
            if names is None or name in names
        }

    def evidence(self, trained: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Return what an audit compares: trained weights, and a checksum (CRC-32) of each frozen one.

        Copies of the frozen ones would take half a gigabyte.
        """
        lower = {} if self.trunk is None else {_name(n, 0): p for n, p in self.trunk.named_parameters()}
        if self.cut is None:
            lower[TABLE] = self.upper.get_input_embeddings().table
        everything = {**lower, **self.parameters}
        return {name: _proof(tensor, name in trained) for name, tensor in everything.items()}

    def states(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return what the upper part takes: the trunk's states of a batch of token numbers."""
        import torch

        batch = {name: tensor.to(self.device) for name, tensor in batch.items()}
        if self.trunk is None or "inputs_embeds" in batch:
            return batch
        with torch.no_grad():
            found = {"inputs_embeds": self.trunk(**batch).last_hidden_state}
        if "attention_mask" in batch:
            found["attention_mask"] = batch["attention_mask"]
        return found

    def features(self, batch: dict[str, Any]) -> Any:
        """Return the pooled features ``(n, dim)`` of a batch."""
        given = self.states(batch)
        states = self.upper(**given).last_hidden_state
        return pooled(states, given.get("attention_mask"), self.encoder.pooling)

    def forward(self, batch: dict[str, Any]) -> Any:
        """Return the logits ``(n, k)`` of a batch."""
        import torch

        return torch.addmm(self.bias, self.features(batch).float(), self.kernel)

    def over(self, source: Source, part: Callable[[dict[str, Any]], Any], columns: int) -> np.ndarray:
        """Return `features` or `forward` of all that a source has, ``(n, columns)`` float32."""
        import torch

        self.upper.eval()
        out = np.empty((len(source.lengths), columns), np.float32)
        with torch.inference_mode():
            for rows in by_length(source.lengths, BATCH_TOKENS):
                out[rows] = part(source(rows)).float().cpu().numpy()
        return out

    def logits(self, source: Source) -> np.ndarray:
        """Return logits ``(n, k)`` float32."""
        return self.over(source, self.forward, self.kernel.shape[1])


class Source:
    """Batches for a body's upper part.

    Parameters
    ----------
    body : TextBody
    tokens : Tokens
    keep : bool
        Compute the trunk's states once, where there is a trunk and they fit into memory.
    """

    def __init__(self, body: TextBody, tokens: Tokens, keep: bool) -> None:
        self._tokens, self._pad = tokens, body.encoder.tokenizer.pad_token_id
        self.lengths = tokens.lengths
        size = int(self.lengths.sum()) * body.encoder.width * 4
        self._kept = _States(body, tokens, self._pad) if keep and body.trunk and size <= KEPT_BYTES else None

    def __call__(self, rows: np.ndarray) -> dict[str, Any]:
        """Return a padded batch: kept states, or token numbers."""
        return self._tokens.padded(rows, self._pad) if self._kept is None else self._kept.padded(rows)


class _States:
    """The trunk's states of all tokens, one example after the other."""

    def __init__(self, body: TextBody, tokens: Tokens, pad: int) -> None:
        import torch

        lengths = tokens.lengths
        self._starts = np.concatenate([[0], np.cumsum(lengths)])
        self._flat = torch.empty(int(self._starts[-1]), body.encoder.width)
        for rows in by_length(lengths, BATCH_TOKENS):
            found = body.states(tokens.padded(rows, pad))["inputs_embeds"].cpu()
            for states, row in zip(found, rows, strict=True):
                self._flat[self._starts[row] : self._starts[row + 1]] = states[: lengths[row]]

    def padded(self, rows: np.ndarray) -> dict[str, Any]:
        """Return states ``(n, longest, width)`` and, where lengths differ, which of them are there."""
        import torch

        sizes = self._starts[rows + 1] - self._starts[rows]
        states = torch.zeros(len(rows), int(sizes.max()), self._flat.shape[1])
        mask = torch.zeros(len(rows), int(sizes.max()), dtype=torch.int64)
        for place, row in enumerate(rows):
            own = self._flat[self._starts[row] : self._starts[row + 1]]
            states[place, : len(own)], mask[place, : len(own)] = own, 1
        batch = {"inputs_embeds": states}
        if sizes.min() < sizes.max():
            batch["attention_mask"] = mask
        return batch


def body_of(encoder: TextEncoder, recipe: TextRecipe, classes: int) -> TextBody:
    """Return a body for these settings; the last few are kept and shared by all fits of the same shape."""
    key = (encoder.key, recipe.cut(depth_of(encoder)), classes, recipe.device)
    if key not in _bodies:
        _bodies[key] = TextBody(encoder, recipe, classes)
        while len(_bodies) > _KEPT:
            _bodies.popitem(last=False)
    _bodies.move_to_end(key)
    return _bodies[key]


def forget_bodies() -> None:
    """Give back the memory that networks of earlier fits take."""
    _bodies.clear()


def depth_of(encoder: TextEncoder) -> int:
    """Return the layers up to the one that the encoder reads.

    Raises
    ------
    BadInput
        When it reads several, or the embeddings alone.
    """
    depth = encoder.depth if encoder.layer == "last" else encoder.layer
    if not isinstance(depth, int) or depth < 1:
        raise BadInput(
            f"An encoder with layer={encoder.layer!r}; fine-tuning goes on from one layer.",
            "Give encoder.with_layer('last'), or the number of a layer from 1.",
        )
    return depth


def tuned_network(encoder: TextEncoder, own: Mapping[str, np.ndarray], seen: np.ndarray | None) -> Any:
    """Return a whole network in which `own` takes the place of the encoder's weights, in eval mode.

    The table of word embeddings is shared with the encoder unless rows of it are among `own`.
    """
    import torch

    network = encoder.network_copy(own_embeddings=ROWS in own).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if _name(name, 0) in own:
                parameter.copy_(torch.tensor(own[_name(name, 0)]))
        if ROWS in own and seen is not None:
            network.get_input_embeddings().weight[torch.from_numpy(seen)] = torch.tensor(own[ROWS])
    return network


def _named(model: Any, depth: int) -> dict[str, np.ndarray]:
    """Return the weights of the embeddings and of `depth` layers, in the model's own memory."""
    found = {}
    for name, parameter in model.named_parameters():
        layer = _LAYER.fullmatch(name)
        if layer is None or int(layer.group(1)) < depth:
            view = parameter.detach().numpy().view()
            view.flags.writeable = False
            found[_name(name, 0)] = view
    return found


def _name(name: str, offset: int) -> str:
    """Return a parameter's name as this course shows it.

    Examples
    --------
    >>> _name("encoder.layer.1.output.dense.bias", 6)
    'layer7/output.dense.bias'
    >>> _name("base_model.model.encoder.layer.0.attention.self.query.lora_A.default.weight", 0)
    'layer0/attention.self.query.lora_A'
    """
    name = name.removeprefix("base_model.model.").replace(".base_layer.", ".")
    name = re.sub(r"(\.lora_[AB])\.default\.weight$", r"\1", name)
    layer = _LAYER.fullmatch(name)
    if layer:
        return f"layer{int(layer.group(1)) + offset}/{layer.group(2)}"
    return name.replace(".", "/", 1)


def _moves(name: str, trains: str) -> bool:
    """Tell whether a weight above the cut is trained."""
    if name.startswith(f"{CLASSIFIER}/"):
        return True
    if trains == "biases":
        return name.endswith("bias")
    return "lora_" in name if trains == "low rank" else True


def _proof(tensor: Any, trained: bool) -> np.ndarray:
    array = np.ascontiguousarray(tensor.detach().cpu().numpy())
    return array.copy() if trained else np.array([zlib.crc32(array.data.cast("B"))], np.uint32)


def _lower(model: Any, layers: int, device: Any) -> Any:
    """Return the embeddings and the first `layers` of a model, on the CPU in the model's own memory."""
    import torch

    tensors = [*model.parameters(), *model.buffers()] if device.type == "cpu" else []
    lower = copy.deepcopy(model, {id(tensor): tensor for tensor in tensors})
    lower.encoder.layer = torch.nn.ModuleList(list(lower.encoder.layer)[:layers])
    return lower.eval().to(device)


def _upper(encoder: TextEncoder, depth: int, cut: int | None, seen: np.ndarray | None) -> Any:
    """Return a copy of the layers from `cut` to `depth`; without a cut, of the embeddings too."""
    import torch

    network = encoder.network_copy(own_embeddings=False)
    layers = list(network.encoder.layer)[cut or 0 : depth]
    network.encoder.layer = torch.nn.ModuleList(layers)
    if cut is None:
        network.set_input_embeddings(_rows(encoder.model.get_input_embeddings(), seen))
    else:
        network.embeddings = _pass_on()
    return network


def _pass_on() -> Any:
    """Return what stands in the place of the embeddings where the trunk has seen to them."""
    import torch

    class PassOn(torch.nn.Module):
        def forward(self, inputs_embeds: Any = None, **_: Any) -> Any:
            return inputs_embeds

    return PassOn()


def _rows(embedding: Any, seen: np.ndarray | None) -> Any:
    """Return word embeddings of which the `seen` rows are trained and the others shared with the encoder.

    No sentence of the training set touches the others, so that their gradient is zero: to train the whole
    table comes to the same and moves a hundred million numbers for it.
    """
    import torch

    class Rows(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = embedding.weight.detach()
            chosen = torch.from_numpy(np.empty(0, np.int64) if seen is None else seen)
            self.place = torch.full((len(self.table),), -1)
            self.place[chosen] = torch.arange(len(chosen))
            self.rows = torch.nn.Parameter(self.table[chosen].clone()) if len(chosen) else None

        def forward(self, input_ids: Any) -> Any:
            fixed = torch.nn.functional.embedding(input_ids, self.table)
            if self.rows is None:
                return fixed
            place = self.place[input_ids]
            own = torch.nn.functional.embedding(place.clamp(min=0), self.rows)
            return torch.where(place.unsqueeze(-1) >= 0, own, fixed)

        def _apply(self, fn: Any, recurse: bool = True) -> Any:
            self.table, self.place = fn(self.table), fn(self.place)
            return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]

    return Rows()
