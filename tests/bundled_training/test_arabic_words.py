"""The list of Arabic words is counted without articles, each word in its usual spelling."""

from __future__ import annotations

from tawasul_nlp.text.arabizi_reading import ARABIC_WORDS, data_lines
from training.arabic_words import SIZE, arabic_words


def test_a_word_is_counted_with_and_without_its_article_in_its_most_frequent_spelling() -> None:
    texts = ["الإنارة مطفأة", "انارة الشارع والإنارة للشارع", "إنارة بالشارع", "شارع"]
    assert arabic_words(texts) == ["إنارة", "شارع"]
    assert arabic_words(texts, size=1) == ["إنارة"]


def test_the_stored_list_has_no_word_twice_and_no_articles_before_the_frequent_ones() -> None:
    words = data_lines(ARABIC_WORDS)
    assert len(words) == len(set(words)) == SIZE
    assert {"ماي", "كهرباء", "طلب", "حفرة", "وايد"} <= set(words)
    assert not {"الماي", "الكهرباء", "بالشارع", "للحفرة"} & set(words)
