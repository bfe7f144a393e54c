"""Domain packs that are damaged, and packs of made-up countries whose numbers must be masked."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

from tawasul_nlp import find_places, mask_personal_data
from tawasul_nlp._packs import DEFAULT, PACKS
from tawasul_nlp._yaml import DataError, File
from tawasul_nlp.domain import Domain
from tawasul_nlp.text.personal.patterns import compiled
from tawasul_nlp.text.personal.plan import NumberPlan, read_plan
from tawasul_nlp.text.personal.rules import find
from tests.robustness.harness import Outcome, count, repeat

TEXT = "الزبالة متراكمة بالمحرق مجمع ٢١٤ طريق 12، رقمي 39001234 والبطاقة 870412356 ولوحة 123456"
FILES = ("domain", "taxonomy", "agencies", "gazetteer", "routing", "personal")
# What a line of YAML may be made of that means something to its parser or to ours.
PIECES = ("&a ", ": ", "- ", "*a", "!!python/name:os", "null", "-1", "٣", "(a+)+", *"[]{}'\"#|\t")


def run(trials: int, seed: int) -> Iterator[Outcome]:
    """Damage packs, and mask numbers of countries that there are not."""
    yield damage_packs(trials, seed)
    yield mask_made_up(trials, seed)


def damage_packs(trials: int, seed: int) -> Outcome:
    """Load damaged copies of the bundled pack; one that is accepted must serve."""
    chance = random.Random(seed)

    def trial(scratch: Path) -> str:
        folder = shutil.copytree(PACKS / DEFAULT, scratch / "pack")
        path = folder / f"{chance.choice(FILES)}.yaml"
        path.write_text(_damaged(path.read_text(encoding="utf-8"), chance), encoding="utf-8")
        try:
            domain = Domain.load(folder)
            find_places(TEXT, domain)
            mask_personal_data(TEXT, domain=domain)
        except DataError as error:  # an id that one file lost may be missed where another one names it
            return "refused" if str(error).startswith(str(folder)) else f"a refusal without its file: {error}"
        except Exception as error:
            return type(error).__name__
        return ""

    promise = "a pack is refused with its file, or serves"
    return repeat(promise, "one line of a file lost, repeated, moved or altered", trials, trial)


def _damaged(content: str, chance: random.Random) -> str:
    """Change one line of a file: lose, repeat, move or alter it."""
    lines = content.split("\n")
    line = lines.pop(place := chance.randrange(len(lines)))
    cut = chance.randrange(len(line) + 1)
    changed: tuple[list[str], ...] = (
        [],
        [line, line],
        [line.swapcase()],
        [line[:cut] + chance.choice(PIECES) + line[cut:]],
    )
    if chance.random() < 0.2:
        lines.insert(chance.randrange(len(lines) + 1), line)
    else:
        lines[place:place] = chance.choice(changed)
    return "\n".join(lines)


def mask_made_up(trials: int, seed: int) -> Outcome:
    """Search for numbers of made-up countries, with and without a word before them."""
    chance = random.Random(seed)

    def results() -> Iterator[str]:
        for _ in range(trials):
            plan, national, phone = _made_up(chance)
            for value, text in (
                (national, f"رقمي القومي {national} شكرا"),
                (national, f"البطاقة القومية رقم {national}"),
                (national, f"انا {national} ساكن هني"),
                (phone, f"اتصلوا على {phone} ضروري"),
                (phone, f"هاتفي +{plan.phones.country_code} {phone}"),
            ):
                start = text.index(value)
                # Digits that may be a phone's as well are masked by either name.
                ends = [end for _, first, end in find(compiled(plan), text) if first <= start < end]
                yield "" if ends and ends[0] >= start + len(value) else f"{text.replace(value, '')}: {len(value)}"

    promise = "a country's numbers are masked by its pack alone"
    return count(promise, "forms, starts and codes of made-up countries", results())


def _made_up(chance: random.Random) -> tuple[NumberPlan, str, str]:
    """Return the number plan of a made-up country, a national number of it and a phone number."""
    first_form, first = chance.choice((("[23]", "23"), ("[1-9]", "123456789"), ("1", "1")))
    birth_form, birth = chance.choice((("YYMM", "8704"), ("YYMMDD", "870412"), ("###", "417")))
    rest, digits = chance.randint(5, 6), chance.choice([8, 9])
    start = f"{chance.randint(2, 9)}"
    content = (
        "version: '1'\nnational_number:\n  placeholder: '[رقم]'\n"
        f"  forms: ['{first_form}{birth_form}{'#' * rest}']\n  adjectives: [قومي]\n"
        f"phones:\n  country_code: '{chance.randint(211, 999)}'\n  digits: {digits}\n"
        f"  starts: ['{start}', '{chance.randint(4, 6)}[1-4]']\niban: XX\n"
    )
    plan = read_plan(File("personal.yaml", content.encode()))

    def ending(length: int) -> str:  # no zero: round sums are no numbers of persons
        return "".join(chance.choice("123456789") for _ in range(length))

    return plan, chance.choice(first) + birth + ending(rest), start + ending(digits - 1)
