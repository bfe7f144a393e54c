"""Train the verifier, a network of its own that reads two texts together and tells whether both report one event.

It begins as an earlier model that reads pairs, whose words are the bundled model's, so that both share a tokenizer. It
is for the pairs that the first score leaves open: half of its pairs are of two incidents that this takes for
neighbours, or that were composed to be alike. ``python -m training.verifier`` trains it alone; a killed training
resumes when the same command is given again.
"""

from __future__ import annotations

import argparse
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    PreTrainedTokenizerFast,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from tawasul_nlp.model.folder import BUNDLED, ENCODER, VERIFIER, read_config
from tawasul_nlp.model.network import MultiTaskNetwork
from tawasul_nlp.text import Normalizer
from tawasul_nlp.text.arabizi import arabizi_to_arabic
from tawasul_nlp.training.backbone import Backbone, load_backbone, restore_tokenizer
from tawasul_nlp.training.fine_tuning import (
    has_bf16,
    last_checkpoint,
    learning_rate_share,
    leave_weights,
    parameter_groups,
    resumed,
)
from tawasul_nlp.training.package import export
from tawasul_nlp.training.run_folder import logged, tell
from training.corpus import LabelSpace
from training.earlier_models import second_model
from training.event_pairs import Pair, PairDraws, mined_pairs, validation_pairs
from training.incidents import load_incidents
from training.pair_fitting import enter


@dataclass(frozen=True, kw_only=True)
class VerifierSettings:
    """How the verifier is trained."""

    pairs: int = 150_000
    batch_size: int = 32
    learning_rate: float = 1.5e-4
    head_learning_rate: float = 1.0e-3
    layer_decay: float = 0.95
    weight_decay: float = 0.01
    warmup_ratio: float = 0.04
    noise_share: float = 0.25
    # Tokens of each text of a pair; longer ones are cut.
    text_tokens: int = 56
    # Steps after which the validation pairs are judged and a checkpoint is left.
    judged_every: int = 300
    seed: int = 1


def train_verifier(
    network: MultiTaskNetwork,
    encode: PairEncoder,
    draws: PairDraws,
    judged: Mapping[str, Sequence[Pair]],
    settings: VerifierSettings,
    output: Path,
) -> MultiTaskNetwork:
    """Train the network on pairs, or load what an earlier call with this folder trained; on the CPU.

    Parameters
    ----------
    network : MultiTaskNetwork
        With a head for pairs; see :func:`beginning`.
    encode : PairEncoder
    draws : PairDraws
    judged : mapping of str to sequences of Pair
        Validation pairs by what their negatives are; the log has the area under the curve of each.
    settings : VerifierSettings
    output : Path
        Gets the checkpoints, and in the end the weights.
    """
    model = PairNetwork(network)
    if resumed(model, output):
        return network.eval().cpu()
    pairs = draws.draw(settings.pairs)
    steps = -(-len(pairs) // settings.batch_size)
    tell(f"verifier: {len(pairs):,} pairs, {steps:,} steps")
    groups = parameter_groups(model, settings, network.encoder.config.num_hidden_layers)
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)
    warm = max(1, int(settings.warmup_ratio * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate_share(step, steps, warm, final=0.0)
    )
    trainer = Trainer(
        model=model,
        args=_arguments(settings, output),
        train_dataset=[encode(pair) for pair in pairs],
        eval_dataset={name: [encode(pair) for pair in of_kind] for name, of_kind in judged.items()},
        data_collator=padded(encode.tokenizer.pad_token_id),
        compute_metrics=lambda found: {"auc": roc_auc_score(found.label_ids, found.predictions)},
        optimizers=(optimizer, schedule),
        callbacks=[_Told()],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=last_checkpoint(output))
    leave_weights(model, output)
    return network.eval().cpu()


def beginning(backbone: Backbone) -> MultiTaskNetwork:
    """Return a backbone's encoder with its head for pairs, or a new one if it has none.

    The vectors of words are not trained: reports name shops and people that no training text has.
    """
    torch.manual_seed(1)
    separator = backbone.tokenizer.sep_token_id
    network = MultiTaskNetwork(backbone.encoder, {}, dropout=0.0, incident=False, separator=separator)
    backbone.give_heads(network, {})
    backbone.encoder.get_input_embeddings().requires_grad_(False)
    return network


class PairNetwork(nn.Module):
    """The verifier together with its loss."""

    def __init__(self, network: MultiTaskNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return the loss and the logits (batch,) that the two texts report one event."""
        encoded = self.network.encode(self.network.words(input_ids), attention_mask)
        logits = self.network.same_event(input_ids, attention_mask, encoded)[:, 0].float()
        return {"loss": nn.functional.binary_cross_entropy_with_logits(logits, labels), "logits": logits}


class PairEncoder:
    """Turns pairs into token ids, each text read as in use."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, profile: str, text_tokens: int) -> None:
        self.tokenizer, self.most = tokenizer, 2 * text_tokens + 4
        self.normalizer = Normalizer(profile)

    def __call__(self, pair: Pair) -> dict[str, Any]:
        """Return ids, their number, and whether both report one event."""
        first, second = (self.normalizer(arabizi_to_arabic(text)) for text in (pair.first, pair.second))
        ids = self.tokenizer(first, second, truncation="longest_first", max_length=self.most).input_ids
        return {"input_ids": ids, "length": len(ids), "labels": float(pair.same)}


def padded(padding: int) -> Callable[[list[dict[str, Any]]], dict[str, Tensor]]:
    """Return what makes a batch of encoded pairs."""

    def batch(rows: list[dict[str, Any]]) -> dict[str, Tensor]:
        ids = [torch.tensor(row["input_ids"]) for row in rows]
        return {
            "input_ids": pad_sequence(ids, batch_first=True, padding_value=padding),
            "attention_mask": pad_sequence([torch.ones_like(each) for each in ids], batch_first=True),
            "labels": torch.tensor([row["labels"] for row in rows]),
        }

    return batch


def _arguments(settings: VerifierSettings, output: Path) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(output),
        num_train_epochs=1,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=64,
        eval_strategy="steps",
        eval_steps=settings.judged_every,
        save_strategy="steps",
        save_steps=settings.judged_every,
        save_total_limit=1,
        logging_steps=50,
        bf16=has_bf16(),
        use_cpu=not torch.cuda.is_available(),
        train_sampling_strategy="group_by_length",
        length_column_name="length",
        remove_unused_columns=False,
        seed=settings.seed,
        report_to=[],
        disable_tqdm=True,
    )


class _Told(TrainerCallback):
    """Tells how far the training is."""

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **more: Any) -> None:
        """Tell what is new."""
        shown = {name: value for name, value in (logs or {}).items() if name == "loss" or name.endswith("_auc")}
        if shown:
            values = ", ".join(f"{name.removeprefix('eval_')} {value:.3f}" for name, value in shown.items())
            tell(f"step {state.global_step:,} of {state.max_steps:,}: {values}")


def add_verifier(folder: Path, backbone: str, settings: VerifierSettings, output: Path) -> None:
    """Train a verifier for a model folder in the run folder ``output``, starting from a backbone, and put it in.

    Raises
    ------
    ValueError
        If the backbone has other words than the model.
    """
    config, labels, tokenizer = read_config(folder), LabelSpace.load(), restore_tokenizer(folder)
    begins = load_backbone(backbone, dropout=0.0)
    if begins.tokenizer.get_vocab() != tokenizer.get_vocab():
        raise ValueError(f"{backbone} has other words than {folder}, whose tokenizer the verifier shares")
    mined = mined_pairs(folder, labels, output / "mined_pairs.json")
    draws = PairDraws(load_incidents("train", labels), mined, settings.noise_share, settings.seed)
    encode = PairEncoder(tokenizer, config.profile["name"], settings.text_tokens)
    network = train_verifier(beginning(begins), encode, draws, validation_pairs(), settings, output / "verifier")
    export(network, folder / VERIFIER)
    enter(folder, VERIFIER, separator=network.separator)


def keep_verifier(folder: Path, earlier: Path) -> None:
    """Let the network of an earlier model, whose words are the same, read pairs for a model folder as it is."""
    shutil.copyfile(earlier / ENCODER, folder / VERIFIER)
    enter(folder, VERIFIER, separator=read_config(earlier).separator)


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?", default=BUNDLED, help="model folder [default: the bundled one]")
    parser.add_argument("--output", type=Path, default=Path("build/train"), help="run folder")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 for all")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if options.threads:
        torch.set_num_threads(options.threads)
    options.output.mkdir(parents=True, exist_ok=True)
    with logged(options.output):
        second = str(second_model(options.output / "second"))
        add_verifier(options.model, second, VerifierSettings(), options.output)


if __name__ == "__main__":
    main()
