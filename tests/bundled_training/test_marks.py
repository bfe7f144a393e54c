"""Marks lie on the tokens of the words that were marked, however the text is rewritten before it is tokenised."""

from tawasul_nlp.model.folder import BUNDLED
from tawasul_nlp.text import Normalizer
from tawasul_nlp.training.backbone import restore_tokenizer
from tawasul_nlp.training.rows import IGNORE
from training.corpus import marked
from training.marks import encode_marks


def encoded_row(text, clauses, evidence):
    def place(quote):
        return text.index(quote), text.index(quote) + len(quote)

    tokenizer = restore_tokenizer(BUNDLED)
    cells = marked(
        None if clauses is None else [(*place(quote), label) for quote, label in clauses],
        None if evidence is None else [place(quote) for quote in evidence],
    )
    row = {"text": text, **cells}
    encoded = encode_marks(row, tokenizer, Normalizer("default"), 160, labels=("water", "light"))
    return tokenizer.convert_ids_to_tokens(encoded["input_ids"]), encoded["marks"]


def words(tokens, chosen):
    return "".join(token for token, own in zip(tokens, chosen, strict=True) if own).replace("▁", " ").strip()


def test_a_clause_is_marked_in_arabizi_and_behind_letters_that_are_removed():
    text = "السلاااام عليكم،  el may 6afi 3ndna mn ams, w ليتات الشارع مطفية"
    tokens, marks = encoded_row(text, [("el may 6afi", "water"), ("ليتات الشارع مطفية", "light")], None)
    assert words(tokens, marks["token_clauses"] == 0) == "الماي طافي"
    assert words(tokens, marks["token_clauses"] == 1) == "ليتات الشارع مطفية"
    assert marks["clause_labels"] == [0, 1]
    assert (marks["token_tags"] == 1).sum() == 2 and (marks["token_evidence"] == IGNORE).all()


def test_words_that_speak_for_the_urgency_are_marked_and_an_empty_list_says_that_there_are_none():
    tokens, marks = encoded_row("السلك مكشوف عند باب المدرسة", None, ["مكشوف"])
    assert words(tokens, marks["token_evidence"] == 1) == "مكشوف"
    assert (marks["token_tags"] == IGNORE).all()
    _, none = encoded_row("السلك مكشوف عند باب المدرسة", None, [])
    assert (none["token_evidence"] == 0).all()


def test_a_label_that_the_task_lacks_teaches_where_the_clause_is_and_not_what():
    _, marks = encoded_row("ليتات الشارع مطفية", [("ليتات الشارع مطفية", "roads")], None)
    assert marks["clause_labels"] == [IGNORE] and (marks["token_clauses"] == 0).any()
