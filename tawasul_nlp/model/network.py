"""The multi-task network: one BERT encoder with two pooled embeddings, and heads for tasks, clauses and pairs."""

from __future__ import annotations

from tawasul_nlp.extras import require

require("torch", "the network of a model", "torch", "transformers")

import torch
from torch import Tensor, nn
from transformers import BertModel

from tawasul_nlp.model.runtime import PAIR, TAGS, TOKEN_LABELS, TOKEN_TAGS

INCIDENT_SIZE = 128
_PAIR_SIZE = 128


class MultiTaskNetwork(nn.Module):
    """A BERT encoder with mean pooling, one linear head for each task, and heads for incidents, clauses and pairs.

    Parameters
    ----------
    encoder : BertModel
        Any BERT-type encoder without a pooler.
    tasks : dict of str to int
        Number of labels of each task, in output order.
    dropout : float
        Dropout on the pooled vector before the heads, in training only.
    incident : bool
        Whether it has incident vectors, which grouping duplicates needs.
    clauses : str or None
        The task whose labels clauses have; None for a network that does not tell clauses apart.
    pairs : bool
        Whether it tells if two texts, read together, report one event.

    Notes
    -----
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
        pairs: bool = False,
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
        self.pair = PairHead(hidden) if pairs else None

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
        found: Tensor = self.encoder.embeddings.word_embeddings(input_ids)
        return found

    def read(self, words: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return token states (batch, tokens, hidden), their mean (batch, hidden) and the incident vectors, if any."""
        output = self.encoder(inputs_embeds=words, attention_mask=attention_mask, output_hidden_states=True)
        if self.incident is None:
            return output.last_hidden_state, self.pool(output.last_hidden_state, attention_mask), None
        means = [self.pool(output.hidden_states[layer], attention_mask) for layer in self.incident_layers]
        # Layers differ in norm; normalised, they count the same.
        levels = torch.cat([nn.functional.normalize(mean, dim=-1) for mean in means], dim=-1)
        incident = nn.functional.normalize(self.incident(levels).float(), dim=-1)
        return output.last_hidden_state, means[-1], incident

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        """Return embedding (batch, hidden), incident vector (batch, 128), each task's logits, ...: :attr:`outputs`."""
        states, pooled, incident = self.read(self.words(input_ids), attention_mask)
        found = {"embedding": nn.functional.normalize(pooled, dim=-1)}
        if incident is not None:
            found["incident"] = incident
        if self.tags is not None and self.clauses is not None:
            found[TOKEN_TAGS] = self.tags(states)
            found[TOKEN_LABELS] = self.heads[head_name(self.clauses)](states)
            found[self.clauses] = self.pool(found[TOKEN_LABELS], attention_mask)
        for task in self.tasks:
            if task not in found:
                found[task] = self.heads[head_name(task)](self.dropout(pooled))
        if self.pair is not None:
            found[PAIR] = self.pair(pooled)
        return tuple(found[name] for name in self.outputs)


class PairHead(nn.Module):
    """Tells from the pooled states of two texts that were read together whether both report one event.

    Parameters
    ----------
    size : int
        Of the pooled states.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(size, _PAIR_SIZE)
        self.same = nn.Linear(_PAIR_SIZE, 1)

    def forward(self, pooled: Tensor) -> Tensor:
        """Return the logit: (batch, size) -> (batch, 1)."""
        found: Tensor = self.same(nn.functional.gelu(self.hidden(pooled)))
        return found


def head_name(task: str) -> str:
    """Return the name of a task's head: the task's own, unless torch has taken it.

    Examples
    --------
    >>> head_name("topic"), head_name("type")
    ('topic', 'type_')
    """
    return task + "_" if hasattr(nn.ModuleDict(), task) else task
