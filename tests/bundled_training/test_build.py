"""The bundled model is built by the library's pipeline from the corpus as a data set like any other."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from tawasul_nlp import DuplicateGrouper, DuplicateIndex
from tawasul_nlp.training import TrainConfig
from tawasul_nlp.training.backbone import load_backbone
from tawasul_nlp.training.fine_tuning import fine_tune
from training import joint
from training.build import RECIPE, fit, install
from training.corpus import (
    Example,
    LabelSpace,
    corpus_data,
    load_examples,
    load_issue_examples,
    load_urgency_examples,
    row_of,
    rows_of,
)
from training.incidents import load_incidents
from training.joint import JointRowEncoder, rows_of_stage
from training.pairs import collect
from training.recipe import Recipe, Stage

pytestmark = pytest.mark.slow

ABOUT = {"base": "a tiny BERT"}


@pytest.fixture(scope="module")
def labels():
    return LabelSpace.load()


@pytest.fixture(scope="module")
def corpus():
    return corpus_data()


def shares(example, labels, corpus, task, **amounts):
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({})))
    encoder = JointRowEncoder(tokenizer, corpus.data, Stage(**amounts))
    target = encoder.targets(row_of(example, labels))[task]
    assert target.sum() == pytest.approx(1)
    return {name: round(float(share), 6) for name, share in zip(labels.of(task), target, strict=True) if share}


@pytest.fixture
def example():
    return Example("1", "نص", "debris_dumping", "municipality", "complaint", "", "msa", "")


def test_a_secondary_topic_gets_its_share_of_the_label(example, labels, corpus):
    both = replace(example, secondary_topic="waste_collection")
    topics = {"debris_dumping": 0.8, "waste_collection": 0.2}
    assert shares(both, labels, corpus, "topic", secondary_share=0.2) == topics
    assert shares(both, labels, corpus, "agency", secondary_share=0.2) == {"municipality": 1}
    assert shares(example, labels, corpus, "topic", secondary_share=0.2) == {"debris_dumping": 1}


def test_reports_that_are_drawn_as_groups_do_not_come_one_by_one_as_well(labels, corpus):
    composed = {example.text for example in (*load_issue_examples(labels), *load_urgency_examples(labels))}
    learned = [text for text in corpus.data.train["text"] if text not in composed]
    assert learned == [example.text for example in load_examples("train", labels)]
    first = rows_of_stage(corpus.data.train, Stage(incident_groups=1)).filter(lambda row: row["text"] not in composed)
    assert len(set(first["incident"])) == len(first)
    assert {example.text for example in load_examples("train", labels, reports=False)} <= set(first["text"])


def test_texts_that_choose_what_counts_as_an_issue_or_as_urgent_are_not_learned(labels, corpus):
    learned = set(corpus.data.train["text"])
    assert not learned & set(corpus.issues["text"])
    assert not learned & set(corpus.data.validation["text"])
    held_out = [row for row in corpus.data.validation.to_list() if not row["label.topic"]]
    composed = {example.text for example in load_urgency_examples(labels)}
    assert 100 < len(held_out) < len(composed) and {row["text"] for row in held_out} <= composed


def test_quotes_of_the_corpus_become_marks(labels):
    found = {example.id: example for example in load_issue_examples(labels)}["issues-a-0001"]
    assert found.clauses is not None
    assert [found.text[start:end][:12] for start, end, _ in found.clauses] == ["هل يحق للبنك", "ليت الشارع ج"]
    assert (found.topic, found.secondary_topic) == ("banking_insurance", "street_lighting_fault")
    assert found.evidence == ()
    urgent = {example.id: example for example in load_urgency_examples(labels)}["urgency-0002"]
    assert urgent.evidence is not None
    assert [urgent.text[start:end] for start, end in urgent.evidence] == ["طافية علينا من أمس الليل"]


def a_part(corpus, labels, examples, held_out):
    train, validation = rows_of("train", examples, labels), corpus.data.validation.select(range(held_out))
    data = replace(corpus.data, train=train, validation=validation, groups=np.arange(len(train)))
    known = corpus.incidents.learned[:120]
    incidents = replace(
        corpus.incidents,
        learned=known,
        paraphrases=corpus.incidents.paraphrases[:20],
        collections=lambda: (
            collect(load_incidents("train", labels, use="scorer")[:80], []),
            collect(load_incidents("validation", labels), []),
        ),
    )
    return replace(corpus, data=data, incidents=incidents, issues=corpus.issues.select(range(40)))


def test_heads_start_as_a_probe(tiny_bert, labels, corpus, tmp_path):
    chosen = ("waste_collection", "power_outage", "passport_visa_residency", "fishing_harbours")
    early = load_examples("train", labels, second_batch=False, reports=False)
    examples = [example for example in early if example.topic in chosen]
    data = a_part(corpus, labels, examples, 8).data
    # Nothing is learned by steps: what the heads know, they know from their start.
    config = TrainConfig(backbone=str(tiny_bert), bf16=False, epochs=0.1, early_stopping=0, dropout=0.0)
    still = config.replace(learning_rate=0.0, head_learning_rate=0.0)

    def right(head_start):
        network = fine_tune(data, still.replace(head_start=head_start), tmp_path / head_start)
        batch = load_backbone(str(tiny_bert), 0.0).tokenizer(
            [example.text for example in examples], truncation=True, max_length=160, padding=True
        )
        with torch.inference_mode():
            outputs: Any = network(torch.tensor(batch["input_ids"]), torch.tensor(batch["attention_mask"]))
        answers = dict(zip(network.outputs, outputs, strict=True))["topic"].argmax(1)
        truth = torch.tensor([labels.topics.index(example.topic) for example in examples])
        return float((answers == truth).float().mean())

    (tmp_path / "random").mkdir()
    (tmp_path / "probe").mkdir()
    # Four topics: chance is a quarter. What a probe reads from an encoder of random weights differs by machine.
    assert right("random") < 0.3
    assert right("probe") > 0.45


def test_the_recipe_makes_the_whole_product_of_an_encoder_of_araberts_kind(tiny_bert, labels, corpus, tmp_path):
    cases = {found.id for found in corpus.incidents.learned[:120]}
    examples = [example for example in load_examples("train", labels, second_batch=False) if example.incident in cases]
    examples += [*load_issue_examples(labels)[1:60], *load_urgency_examples(labels)[1:60]]
    recipe = RECIPE.with_name("bundled-arabert.yaml")
    # Rates of an encoder that knows Arabic would teach one of random weights nothing.
    rates = {"learning_rate": 3e-4, "head_learning_rate": 2e-3}
    config = Recipe.load(
        recipe, ["epochs=0.5", "mlm_weight=0.1", "ngram=null", "bf16=false", "verifier_pairs=96"]
    ).replace(**rates)
    part = a_part(corpus, labels, examples, 80)
    run = fit(part, config.replace(backbone=str(tiny_bert)), tmp_path / "run", ABOUT)
    assert run.model.config.about["base"] == ABOUT["base"]
    assert run.model.config.profile["name"] == "arabert"
    assert run.model.config.issues is not None and run.model.config.reads_pairs
    assert run.model.labels["urgency"] == ("emergency", "urgent", "normal")
    assert [path.name for path in sorted(run.folder.glob("stage*"))] == ["stage1", "stage2"]
    second = run.folder / "stage2" / "state.safetensors"
    weights = load_file(second)
    second.unlink()  # as after a kill
    joint.fine_tune(part, config.replace(backbone=str(tiny_bert)), run.folder)
    again = load_file(second)
    assert all(torch.equal(again[name], values) for name, values in weights.items())
    case = "انقطع التيار الكهربائي عن مجمع 1203 بمدينة حمد منذ ساعتين ولا أحد يرد على الهاتف"
    texts = [case, f"{case}!", "الحفرة في شارع المعارض بالحورة كسرت تاير سيارتي ومحد صلحها"]
    # After a few steps the encoder knows little, so that its own threshold is next to certainty.
    grouper = DuplicateGrouper.from_pretrained(run.model_folder, threshold=0.6)
    assert grouper.group(texts).labels.tolist() == [0, 0, 1]
    with DuplicateIndex.open(tmp_path / "index", grouper) as index:
        placed = index.add(texts)
        assert placed[0].incident_id == placed[1].incident_id != placed[2].incident_id
        assert index.query(case)[0].is_duplicate


def test_the_recipe_makes_a_model_of_the_taxonomy_that_routes(tiny_bert, labels, corpus, tmp_path):
    examples = load_examples("train", labels, second_batch=False)[:400]
    settings = ["epochs=0.2", "mlm_weight=0", "ngram=null", "bf16=false", "incident_groups=0", "verifier_pairs=0"]
    config = Recipe.load(RECIPE, settings).replace(backbone=str(tiny_bert))
    model = fit(a_part(corpus, labels, examples, 80), config, tmp_path / "run", ABOUT).model
    answer = model.predict("المجاري طافحة في مجمع 714 منذ أسبوع")
    assert answer.topic.id in model.taxonomy.topics
    assert answer.routing is not None
    assert model.config.tasks["agency"].parent == "topic"
    assert model.config.max_tokens == 256


def test_the_bundled_model_stays_until_the_new_one_is_there_as_a_whole(tmp_path, monkeypatch):
    bundled, trained = tmp_path / "bundled", tmp_path / "trained"
    monkeypatch.setattr("training.build.BUNDLED", bundled)
    for folder, content in ((bundled, "old"), (trained, "new")):
        folder.mkdir()
        (folder / "config.json").write_text(content)

    def killed(source, target, **given):
        target.mkdir()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("training.build.shutil.copytree", killed)
        with pytest.raises(KeyboardInterrupt):
            install(trained)
    assert (bundled / "config.json").read_text() == "old"
    install(trained)
    assert (bundled / "config.json").read_text() == "new"
    assert {path.name for path in tmp_path.iterdir()} == {"bundled", "trained"}
