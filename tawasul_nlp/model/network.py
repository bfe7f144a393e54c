"""The multi-task network: one BERT encoder, two pooled embeddings, one linear head for each task."""

from __future__ import annotations

from tawasul_nlp.extras import require

require("torch", "the network of a model", "torch", "transformers")

import torch
from torch import Tensor, nn
from transformers import BertModel

INCIDENT_SIZE = 128


class MultiTaskNetwork(nn.Module):
    """A BERT encoder with mean pooling, one linear head for each task, and one for incidents.

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

    Notes
    -----
    The heads read the pooled vector itself; the ``embedding`` output is its L2-normalised form, so that a dot
    product of two embeddings is their cosine. The last layer learns to discard what does not matter for topics (who,
    when, which details), which is what identifies an incident, so the ``incident`` output is a projection of the states
    after a third, two thirds and all of the layers.
    """

    def __init__(self, encoder: BertModel, tasks: dict[str, int], dropout: float = 0.1, incident: bool = True) -> None:
        super().__init__()
        self.encoder = encoder
        self.tasks = dict(tasks)
        self.dropout = nn.Dropout(dropout)
        hidden = encoder.config.hidden_size
        self.heads = nn.ModuleDict({head_name(task): nn.Linear(hidden, count) for task, count in tasks.items()})
        layers = encoder.config.num_hidden_layers
        self.incident_layers = (max(1, layers // 3), max(1, 2 * layers // 3), layers)
        if len(self.heads) != len(tasks):
            raise ValueError(f"tasks {', '.join(tasks)} are too similar to name their heads; rename one")
        size = hidden * len(self.incident_layers)
        self.incident = nn.Linear(size, INCIDENT_SIZE, bias=False) if incident else None

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs of :meth:`forward`, in order."""
        return ("embedding", *(("incident",) if self.incident is not None else ()), *self.tasks)

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
        """Return embedding (batch, hidden), incident vector (batch, 128), each task's logits: :attr:`outputs`."""
        _, pooled, incident = self.read(self.words(input_ids), attention_mask)
        embedding = nn.functional.normalize(pooled, dim=-1)
        dropped = self.dropout(pooled)
        logits = (head(dropped) for head in self.heads.values())
        return (embedding, *logits) if incident is None else (embedding, incident, *logits)


def head_name(task: str) -> str:
    """Return the name of a task's head: the task's own, unless torch has taken it.

    Examples
    --------
    >>> head_name("topic"), head_name("type")
    ('topic', 'type_')
    """
    return task + "_" if hasattr(nn.ModuleDict(), task) else task
