"""The multi-task network: one BERT encoder with two pooled embeddings, and heads for tasks, clauses and pairs."""

from __future__ import annotations

from typing import NamedTuple

from tawasul_nlp.extras import require

require("torch", "the network of a model", "torch", "transformers")

import torch
from torch import Tensor, nn
from transformers import BertModel

from tawasul_nlp.model.runtime import PAIR, TAGS, TOKEN_LABELS, TOKEN_TAGS

INCIDENT_SIZE = 128
_PAIR_SIZE = 128


class EncoderOutput(NamedTuple):
    """What the encoder makes of texts."""

    # (batch, tokens, hidden): of the tokens, after all layers and after two thirds of them.
    states: Tensor
    early: Tensor
    # (batch, hidden): mean of `states`.
    pooled: Tensor
    incident: Tensor | None


class MultiTaskNetwork(nn.Module):
    """A BERT encoder with mean pooling, one linear head for each task, and heads for incidents, clauses and pairs.

    The encoder has no pooler; ``tasks`` gives the number of labels of each task, in output order. Grouping duplicates
    needs ``incident`` vectors. ``clauses`` is the task whose labels clauses have, and ``separator`` the token between
    two texts that are read together; None for a network that does neither.

    The heads read the pooled vector itself; the ``embedding`` output is its L2-normalised form, so that a dot
    product of two embeddings is their cosine. The last layer learns to discard what does not matter for topics (who,
    when, which details), which is what identifies an incident, so the ``incident`` output is a projection of the states
    after a third, two thirds and all of the layers.

    A head is linear, so its logits for the mean of some tokens' states are the mean of its logits for these tokens: the
    output ``token_labels`` gives those of the text, and those of any clause.
    """

    def __init__(
        self,
        encoder: BertModel,
        tasks: dict[str, int],
        dropout: float = 0.1,
        incident: bool = True,
        clauses: str | None = None,
        separator: int | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.tasks = dict(tasks)
        self.clauses = clauses
        self.dropout = nn.Dropout(dropout)
        hidden = encoder.config.hidden_size
        self.heads = nn.ModuleDict({head_name(task): nn.Linear(hidden, count) for task, count in tasks.items()})
        layers = encoder.config.num_hidden_layers
        self.incident_layers = (max(1, layers // 3), max(1, 2 * layers // 3), layers)
        if len(self.heads) != len(tasks):
            raise ValueError(f"tasks {', '.join(tasks)} are too similar to name their heads; rename one")
        size = hidden * len(self.incident_layers)
        self.incident = nn.Linear(size, INCIDENT_SIZE, bias=False) if incident else None
        self.tags = nn.Linear(hidden, len(TAGS)) if clauses is not None else None
        self.separator = separator
        self.pair = PairHead(2 * hidden) if separator is not None else None

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs of :meth:`forward`, in order."""
        return (
            "embedding",
            *(("incident",) if self.incident is not None else ()),
            *self.tasks,
            *((TOKEN_TAGS, TOKEN_LABELS) if self.tags is not None else ()),
            *((PAIR,) if self.pair is not None else ()),
        )

    def pool(self, hidden_states: Tensor, attention_mask: Tensor) -> Tensor:
        """Average the token states of each text: (batch, tokens, hidden) -> (batch, hidden), float32."""
        weights = attention_mask.unsqueeze(-1).to(torch.float32)
        return (hidden_states.float() * weights).sum(1) / weights.sum(1).clamp(min=1.0)

    def words(self, input_ids: Tensor) -> Tensor:
        """Look up the tokens' vectors: (batch, tokens) -> (batch, tokens, hidden)."""
        vectors: Tensor = self.encoder.embeddings.word_embeddings(input_ids)
        return vectors

    def encode(self, words: Tensor, attention_mask: Tensor) -> EncoderOutput:
        """Read texts from the vectors of their tokens, (batch, tokens, hidden)."""
        output = self.encoder(inputs_embeds=words, attention_mask=attention_mask, output_hidden_states=True)
        levels = [output.hidden_states[layer] for layer in self.incident_layers]
        pooled = self.pool(levels[-1], attention_mask)
        incident = None
        if self.incident is not None:
            means = [*(self.pool(states, attention_mask) for states in levels[:-1]), pooled]
            # Layers differ in norm; normalised, they count the same.
            joined = torch.cat([nn.functional.normalize(mean, dim=-1) for mean in means], dim=-1)
            incident = nn.functional.normalize(self.incident(joined).float(), dim=-1)
        return EncoderOutput(levels[-1], levels[1], pooled, incident)

    def same_event(self, input_ids: Tensor, attention_mask: Tensor, encoded: EncoderOutput) -> Tensor:
        """Return the logits (batch, 1) that two texts, which were read as one, report one event."""
        assert self.pair is not None and self.separator is not None
        between = input_ids == self.separator
        text = attention_mask.bool() & ~between
        second = between.long().cumsum(1) > 0
        logits: Tensor = self.pair(torch.cat([encoded.early, encoded.states], dim=-1), text & ~second, text & second)
        return logits

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        """Return embedding (batch, hidden), incident vector (batch, 128), each task's logits, ...: :attr:`outputs`."""
        encoded = self.encode(self.words(input_ids), attention_mask)
        states, pooled, incident = encoded.states, encoded.pooled, encoded.incident
        outputs = {"embedding": nn.functional.normalize(pooled, dim=-1)}
        if incident is not None:
            outputs["incident"] = incident
        if self.tags is not None and self.clauses is not None:
            outputs[TOKEN_TAGS] = self.tags(states)
            outputs[TOKEN_LABELS] = self.heads[head_name(self.clauses)](states)
            outputs[self.clauses] = self.pool(outputs[TOKEN_LABELS], attention_mask)
        for task in self.tasks:
            if task not in outputs:
                outputs[task] = self.heads[head_name(task)](self.dropout(pooled))
        if self.pair is not None:
            outputs[PAIR] = self.same_event(input_ids, attention_mask, encoded)
        return tuple(outputs[name] for name in self.outputs)


class PairHead(nn.Module):
    """Tells from the tokens of two texts that were read together whether both report one event.

    Each token is compared with what it is aligned to in the other text (Parikh et al. 2016): one detail that has no
    like, such as another street, must not be lost in a mean. ``size`` is that of a token's states.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size)
        self.key = nn.Linear(size, _PAIR_SIZE)
        self.value = nn.Linear(size, _PAIR_SIZE)
        self.weight = nn.Linear(size, 1)
        self.sharpness = nn.Parameter(torch.tensor(8.0))
        self.compare = nn.Linear(4 * _PAIR_SIZE, _PAIR_SIZE)
        self.hidden = nn.Linear(4 * _PAIR_SIZE + 2, _PAIR_SIZE)
        self.same = nn.Linear(_PAIR_SIZE, 1)

    def forward(self, states: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """Return logits (batch, 1) from states (batch, tokens, size), and which tokens are of which text."""
        states = self.norm(states.float())
        keys, values = nn.functional.normalize(self.key(states), dim=-1), self.value(states)
        across = (first[:, :, None] & second[:, None]) | (second[:, :, None] & first[:, None])
        alike = (keys @ keys.transpose(1, 2)).masked_fill(~across, -1.0)
        aligned = masked_softmax(self.sharpness * alike, across) @ values
        compared = self.compare(torch.cat([values, aligned, (values - aligned).abs(), values * aligned], dim=-1))
        compared, weights, covered = nn.functional.gelu(compared), self.weight(states)[..., 0], alike.amax(-1)
        sides = [self._pool(compared, weights, covered, text) for text in (first, second)]
        (one, its_cover), (other, their_cover) = sides
        symmetric = [one + other, (one - other).abs(), its_cover + their_cover, torch.minimum(its_cover, their_cover)]
        logits: Tensor = self.same(nn.functional.gelu(self.hidden(torch.cat(symmetric, dim=-1))))
        return logits

    def _pool(self, compared: Tensor, weights: Tensor, covered: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean and maximum of a text's tokens (batch, 2 * size), and how much of it has its like."""
        weights = masked_softmax(weights, text)[..., None]
        largest = compared.masked_fill(~text[..., None], -1.0).amax(1)  # GELU is always above -1
        return torch.cat([(compared * weights).sum(1), largest], dim=-1), (covered[..., None] * weights).sum(1)


def masked_softmax(logits: Tensor, chosen: Tensor) -> Tensor:
    """Return the softmax over the last axis of what is chosen, and 0 for the rest; all 0 if nothing is."""
    # Infinity would give NaN where nothing is chosen.
    return logits.masked_fill(~chosen, -1e4).softmax(-1) * chosen


def head_name(task: str) -> str:
    """Return the name of a task's head: the task's own, unless torch has taken it."""
    return task + "_" if hasattr(nn.ModuleDict(), task) else task
