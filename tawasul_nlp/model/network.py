"""The multi-task network: one BERT encoder, one pooled embedding, one linear head for each task."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import BertModel


class MultiTaskNetwork(nn.Module):
    """A BERT encoder with mean pooling and one linear head for each task.

    Parameters
    ----------
    encoder : BertModel
        Any BERT-type encoder without a pooler.
    tasks : dict of str to int
        Number of labels of each task, in output order.
    dropout : float
        Dropout on the pooled vector before the heads, in training only.

    Notes
    -----
    The heads read the pooled vector itself; the ``embedding`` output is its L2-normalised form, so that a dot
    product of two embeddings is their cosine.
    """

    def __init__(self, encoder: BertModel, tasks: dict[str, int], dropout: float = 0.1) -> None:
        super().__init__()
        self.encoder = encoder
        self.tasks = dict(tasks)
        self.dropout = nn.Dropout(dropout)
        hidden = encoder.config.hidden_size
        self.heads = nn.ModuleDict({task: nn.Linear(hidden, count) for task, count in tasks.items()})

    def pool(self, hidden_states: Tensor, attention_mask: Tensor) -> Tensor:
        """Average the token states of each text: (batch, tokens, hidden) -> (batch, hidden), float32."""
        weights = attention_mask.unsqueeze(-1).to(torch.float32)
        return (hidden_states.float() * weights).sum(1) / weights.sum(1).clamp(min=1.0)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        """Return the embedding (batch, hidden), then the logits (batch, labels) of each task."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        pooled = self.pool(states, attention_mask)
        embedding = nn.functional.normalize(pooled, dim=-1)
        dropped = self.dropout(pooled)
        return (embedding, *(head(dropped) for head in self.heads.values()))
