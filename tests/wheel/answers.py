"""Use the package's functions, and print all that they answer as JSON: the same in every environment.

It knows nothing but the package, so that it can be run where only the wheel is.
"""

import json
import tempfile

from tawasul_nlp import (
    ComplaintClassifier,
    DuplicateGrouper,
    DuplicateIndex,
    Normalizer,
    find_places,
    mask_personal_data,
)
from tawasul_nlp.duplicates import recurring_problems

TEXTS = [
    "المجاري طافحة عندنا من اسبوع في مجمع 714 😡😡",
    "مجمع 714 المجاري طافحة من اسبوع والريحة ما تنطاق 🤢",
    "el mai ma8too3 3anna mn ams fi isa town",
    "The street light in block 338 is broken 👍🏽, call 39001234",
    "أرجو إصلاح الحفرة في شارع البديع، رقمي 850101234",
    "❤️",
    "",
]


def answers():
    """Return what each function answers, by name."""
    classifier = ComplaintClassifier.from_pretrained()
    found = {
        "predict": [json.loads(prediction.to_json()) for prediction in classifier.predict(TEXTS)],
        "explain": repr(classifier.explain(TEXTS[0])),
        "normalize": {name: [*map(Normalizer(name), TEXTS)] for name in ("default", "matching", "arabert-twitter")},
        "places": [repr(find_places(text)) for text in TEXTS],
        "masks": [mask_personal_data(text).text for text in TEXTS],
    }
    groups = DuplicateGrouper.from_pretrained().group(TEXTS)
    found["groups"] = [groups.labels.tolist(), groups.scores.tolist()]
    found["pair"] = repr(groups.explain(0, 1))
    problems = recurring_problems([0, 1, 2], ["sewage"] * 3, ["714"] * 3, ["2026-01-05", "2026-02-05", "2026-03-05"])
    found["recurring"] = repr(problems)
    with tempfile.TemporaryDirectory() as folder, DuplicateIndex.open(f"{folder}/incidents") as index:
        added = index.add([{"text": text, "id": str(at)} for at, text in enumerate(TEXTS[:5])])
        found["index"] = [repr(list(added)), repr(index.query("المجاري طافحة في مجمع 714"))]
    return found


if __name__ == "__main__":
    print(json.dumps(answers(), indent=1))
