"""Domain packs that are damaged, and packs of made-up countries whose numbers must be masked."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tawasul_nlp import find_places, mask_personal_data
from tawasul_nlp._packs import DEFAULT, PACKS
from tawasul_nlp._yaml import DataError, File
from tawasul_nlp.domain import Domain
from tawasul_nlp.text.personal.cues import compiled
from tawasul_nlp.text.personal.plan import NumberPlan, read_plan
from tawasul_nlp.text.personal.rules import find
from tests.robustness.outcome import Outcome

TEXT = "الزبالة متراكمة بالمحرق مجمع ٢١٤ طريق 12، رقمي 39001234 والبطاقة 870412356 ولوحة 123456"
FILES = ("domain", "taxonomy", "agencies", "gazetteer", "routing", "personal")
# What a line of YAML may be made of that means something to its parser or to ours.
PIECES = (
    "*a",
    "&a ",
    "[",
    "]",
    "{",
    "}",
    ": ",
    "- ",
    "'",
    '"',
    "#",
    "|",
    "!!python/name:os",
    "\t",
    "null",
    "-1",
    "٣",
    "(a+)+",
)


def damaged(content: str, chance: random.Random) -> str:
    """Change one line of a file: lose, repeat, move or alter it."""
    lines = content.split("\n")
    at = chance.randrange(len(lines))
    way = chance.randrange(5)
    if way == 0:
        del lines[at]
    elif way == 1:
        lines.insert(at, lines[at])
    elif way == 2:
        lines.insert(chance.randrange(len(lines)), lines.pop(at))
    elif way == 3:
        lines[at] = lines[at].swapcase()
    else:
        cut = chance.randrange(len(lines[at]) + 1)
        lines[at] = lines[at][:cut] + chance.choice(PIECES) + lines[at][cut:]
    return "\n".join(lines)


def damage_packs(trials: int, seed: int) -> Outcome:
    """Load damaged copies of the bundled pack; one that is accepted must serve."""
    chance = random.Random(seed)
    outcomes: Counter[str] = Counter()
    failures = []
    for _ in range(trials):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "pack"
            shutil.copytree(PACKS / DEFAULT, folder)
            path = folder / f"{chance.choice(FILES)}.yaml"
            path.write_text(damaged(path.read_text(encoding="utf-8"), chance), encoding="utf-8")
            try:
                domain = Domain.load(folder)
            except DataError as error:
                outcomes["refused"] += 1
                if not str(error).startswith(f"{path}:"):
                    # An id that one file lost is missed where another one names it.
                    outcomes["of them in another file of the pack"] += 1
                    if not str(error).startswith(str(folder)):
                        failures.append(f"a refusal without its file: {error}")
            except Exception as error:
                failures.append(f"{type(error).__name__} on loading")
            else:
                outcomes["accepted"] += 1
                try:
                    find_places(TEXT, domain)
                    mask_personal_data(TEXT, domain=domain)
                except Exception as error:
                    failures.append(f"{type(error).__name__} in use")
    note = ", ".join(f"{count} {what}" for what, count in sorted(outcomes.items()))
    return Outcome(
        "a pack is refused with its file, or serves",
        "one line of a file lost, repeated, moved or altered",
        trials,
        len(failures),
        "; ".join([note, *failures[:3]]),
    )


def made_up(chance: random.Random) -> tuple[NumberPlan, str, str]:
    """Return the number plan of a made-up country, a national number of it and a phone number."""
    parts = [
        chance.choice(["[23]", "[1-9]", "1"]),
        chance.choice(["YYMM", "YYMMDD", "###"]),
        "#" * chance.randint(5, 6),
    ]
    digits = chance.choice([8, 9])
    starts = [f"{chance.randint(2, 9)}", f"{chance.randint(4, 6)}[1-4]"]
    code = str(chance.randint(211, 999))
    content = (
        f"version: '1'\nnational_number:\n  placeholder: '[رقم]'\n  forms: ['{''.join(parts)}']\n  adjectives: [قومي]\n"
        f"phones:\n  country_code: '{code}'\n  digits: {digits}\n  starts: ['{starts[0]}', '{starts[1]}']\niban: XX\n"
    )
    plan = read_plan(File("personal.yaml", content.encode()))
    first = {"[23]": "23", "[1-9]": "123456789", "1": "1"}[parts[0]]
    birth = {"YYMM": "8704", "YYMMDD": "870412", "###": "417"}[parts[1]]
    # The last digit is no zero: round sums are no numbers of persons.
    rest = "".join(chance.choice("123456789") for _ in parts[2])
    phone = starts[0] + "".join(chance.choice("123456789") for _ in range(digits - 1))
    return plan, chance.choice(first) + birth + rest, phone


def mask_made_up(trials: int, seed: int) -> Outcome:
    """Search for numbers of made-up countries, with and without a word before them."""
    chance = random.Random(seed)
    failures = []
    for _ in range(trials):
        plan, national, phone = made_up(chance)
        numbers = compiled(plan)
        for kind, value, text in (
            ("cpr", national, f"رقمي القومي {national} شكرا"),
            ("cpr", national, f"البطاقة القومية رقم {national}"),
            ("cpr", national, f"انا {national} ساكن هني"),
            ("phone", phone, f"اتصلوا على {phone} ضروري"),
            ("phone", phone, f"هاتفي +{plan.phones.country_code} {phone}"),
        ):
            start = text.index(value)
            # Digits that may be a phone's as well are masked by either name.
            covered = [last for _, first, last in find(numbers, text) if first <= start < last]
            if not covered or covered[0] < start + len(value):
                failures.append(f"{kind} of {len(value)} digits")
    note = ", ".join(f"{what}: {count}" for what, count in Counter(failures).most_common(3))
    return Outcome(
        "a country's numbers are masked by its pack alone",
        "forms, starts and codes of made-up countries",
        5 * trials,
        len(failures),
        note,
    )


def run(trials: int, seed: int) -> Iterator[Outcome]:
    """Damage packs, and mask numbers of countries that there are not."""
    yield damage_packs(trials, seed)
    yield mask_made_up(trials, seed)
