"""Measure grouping at scale: time, memory and growth from ten thousand to a million cases, and adding to a large index.

The cases are real texts (the corpus, laws, product reviews) and edited copies of them, made here: words dropped and
swapped, letters slipped, greetings added, places and numbers exchanged and an address added (which makes another
incident). A fifth are copies of an earlier text. Vectors are computed beforehand for the real texts; an edited text
gets the vector of its source moved by as much as the model moves such edits (measured on a sample in the same run).

The prepared texts stay in ``build/scale``; delete it to make them anew, after a change of the model.

Run ``python -m eval.scale.duplicates --data DIR`` (writes ``duplicates_scale.json``, ``.md`` and ``.png`` in
``eval/results``).
"""

from __future__ import annotations

import csv
import gzip
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from eval.harness import RESULTS, provenance, publish_page, run_script
from tawasul_nlp.domain import find_places
from tawasul_nlp.domain.places.mentions import Place
from tawasul_nlp.duplicates import Case, DuplicateGrouper, DuplicateIndex
from tawasul_nlp.duplicates.features import SHINGLE
from tawasul_nlp.text import Normalizer
from tawasul_nlp.training.rows import add_noise
from training.corpus import LabelSpace, load_examples

SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
COPIES = 0.2
REAL = 24_000
TOWNS = (
    "المحرق",
    "مدينة حمد",
    "الرفاع",
    "سترة",
    "البديع",
    "عراد",
    "جدحفص",
    "مدينة عيسى",
    "الحد",
    "البسيتين",
    "عالي",
    "توبلي",
)
GREETINGS = ("السلام عليكم، ", "تحية طيبة وبعد، ", "للمرة الثانية: ", "")


def real_texts(data: Path) -> list[str]:
    """Return texts of the corpus (one of each incident), the laws and the reviews, in a fixed random order."""
    texts = [example.text for example in load_examples("train", LabelSpace.load(), reports=False)]
    with gzip.open(data / "bahrain_laws" / "provisions.txt.gz", "rt", encoding="utf-8") as lines:
        texts += [line.strip()[:400] for line in lines if len(line.strip()) > 40][:6_000]
    with (data / "bahraini_reviews" / "msa_bahraini_pairs.csv").open(encoding="utf-8", newline="") as lines:
        texts += [row["bahraini"][:400] for row in csv.DictReader(lines)][:3_000]
    random.Random(1).shuffle(texts)
    return texts[:REAL]


def edited(text: str, rng: random.Random) -> str:
    """Return a copy as a neighbour would send it."""
    words = text.split()
    for _ in range(max(1, len(words) // 12)):
        at = rng.randrange(len(words))
        if rng.random() < 0.5 and len(words) > 4:
            del words[at]
        elif at + 1 < len(words):
            words[at], words[at + 1] = words[at + 1], words[at]
    return rng.choice(GREETINGS) + add_noise(" ".join(words), rng, 0.2)


@cache
def _places(text: str) -> tuple[Place, ...]:
    return find_places(text).mentions


def elsewhere(text: str, rng: random.Random) -> str:
    """Return the text as another incident: at a place of its own, with other numbers."""
    town = rng.choice(TOWNS)
    for named in reversed(_places(text)):
        if named.number is None:
            text = text[: named.start] + town + text[named.end :]
    place = f"{town} مجمع {rng.randint(201, 1199)} طريق {rng.randint(1, 99)}{rng.randint(10, 99)}"
    numbers = "".join(str(rng.randint(1, 9)) if char.isdigit() else char for char in text)
    return f"{numbers} - {place}" if rng.random() < 0.6 else f"{place}: {numbers}"


def compare_minhash(texts: list[str]) -> dict[str, Any]:
    """Time rensa and datasketch on the same shingles, one thread each, and compare their estimates with the truth."""
    from datasketch import MinHash
    from rensa import RMinHash

    fold = Normalizer("matching")
    folded = [fold(text) for text in texts]
    sets = [[text[at : at + SHINGLE] for at in range(max(1, len(text) - SHINGLE + 1))] for text in folded]
    start = time.perf_counter()
    ours = np.array(RMinHash.digests_from_token_sets(sets, 128, 1))
    middle = time.perf_counter()
    sketches = [MinHash(num_perm=128, seed=1) for _ in sets]
    for sketch, tokens in zip(sketches, sets, strict=True):
        sketch.update_batch([token.encode() for token in tokens])
    end = time.perf_counter()
    rows = list(range(0, len(sets) - 1, 2))
    truth = np.array([len(set(sets[a]) & set(sets[a + 1])) / len(set(sets[a]) | set(sets[a + 1])) for a in rows])
    estimates = {
        "rensa": np.array([(ours[a] == ours[a + 1]).mean() for a in rows]),
        "datasketch": np.array([sketches[a].jaccard(sketches[a + 1]) for a in rows]),
    }
    return {
        "texts": len(texts),
        "texts_per_second": {
            "rensa": round(len(texts) / (middle - start)),
            "datasketch": round(len(texts) / (end - middle)),
        },
        "rms_error": {name: round(float(np.sqrt(((e - truth) ** 2).mean())), 4) for name, e in estimates.items()},
    }


def moved(vectors: np.ndarray, cosine: float, rng: np.random.Generator) -> np.ndarray:
    """Return vectors of length 1 that have about this cosine with the given ones."""
    noise = rng.standard_normal(vectors.shape, dtype=np.float32)
    noise -= (noise * vectors).sum(1, keepdims=True) * vectors
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    return np.asarray(cosine * vectors + np.sqrt(1 - cosine**2) * noise, np.float32)


def prepare(data: Path, size: int, out: Path) -> dict[str, Any]:
    """Write ``size`` texts with their vectors and sources to ``out``; return how edits move real vectors."""
    grouper = DuplicateGrouper.from_pretrained()
    texts = real_texts(data)
    vectors = grouper.encode(texts)
    rng = random.Random(2)
    sample = rng.sample(range(len(texts)), 400)
    cosines = {}
    for name, change in (("edited", edited), ("elsewhere", elsewhere)):
        changed = grouper.encode([change(texts[at], rng) for at in sample])
        cosines[name] = float(np.median((changed * vectors[sample]).sum(1)))
    edits = [text for at in sample for text in (texts[at], edited(texts[at], rng))]
    minhash = compare_minhash(edits * 5)
    source = np.concatenate([np.arange(len(texts)), np.random.default_rng(3).integers(0, len(texts), size)])[:size]
    lines, incident = [], np.arange(size)
    vectors_out = vectors[source].copy()
    generator = np.random.default_rng(4)
    later = np.arange(size) >= len(texts)
    copies = later & (generator.random(size) < COPIES)
    vectors_out[later & ~copies] = moved(vectors_out[later & ~copies], cosines["elsewhere"], generator)
    originals = np.flatnonzero(~copies)
    for at in range(size):
        if not later[at]:
            lines.append(texts[source[at]])
        elif not copies[at]:
            lines.append(elsewhere(texts[source[at]], rng))
        else:
            of = int(originals[rng.randrange(int(np.searchsorted(originals, at)))])
            incident[at] = of
            lines.append(edited(lines[of], rng))
            vectors_out[at] = moved(vectors_out[[of]], cosines["edited"], generator)[0]
    # Sizes below take the first rows: shuffled, they all have the same mix.
    order = generator.permutation(size)
    np.save(out / "vectors.npy", vectors_out[order])
    np.save(out / "incident.npy", incident[order])
    (out / "texts.json").write_text(json.dumps([lines[at] for at in order], ensure_ascii=False), encoding="utf-8")
    return {"real_texts": len(texts), "copies": round(float(copies.mean()), 3), "cosines": cosines, "minhash": minhash}


class MemoryWatch(threading.Thread):
    """Samples the memory of this process and its children (Linux's proportional set size) while it runs."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.start_mb = self.peak_mb = self.now()
        self._over = threading.Event()

    @staticmethod
    def now() -> float:
        """Return the megabytes of this process and its children now."""
        total = 0
        children = [path.read_text().split() for path in Path("/proc/self/task").glob("*/children")]
        for pid in ["self", *(pid for line in children for pid in line)]:
            try:
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue  # it has just ended
            total += int(next(line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:")))
        return total / 1024

    def run(self) -> None:
        """Sample twice a second."""
        while not self._over.wait(0.5):
            self.peak_mb = max(self.peak_mb, self.now())

    def stop(self) -> int:
        """Return the megabytes by which memory grew at its peak."""
        self._over.set()
        self.join()
        return round(self.peak_mb - self.start_mb)


def group(folder: Path, size: int, index: bool) -> dict[str, Any]:
    """Group the first ``size`` texts in this process; print and return time and memory."""
    texts = json.loads((folder / "texts.json").read_text(encoding="utf-8"))[:size]
    vectors = np.load(folder / "vectors.npy")[:size]
    incident = np.load(folder / "incident.npy")[:size]
    grouper = DuplicateGrouper.from_pretrained()
    cases = [Case(text, embedding=vector) for text, vector in zip(texts, vectors, strict=True)]
    watch = MemoryWatch()
    watch.start()
    start = time.perf_counter()
    groups = grouper.group(cases)
    seconds = time.perf_counter() - start
    result: dict[str, Any] = {"cases": size, "seconds": round(seconds, 2), "added_mb": watch.stop()}
    labels = groups.labels
    sizes = np.bincount(labels)
    both = np.unique(np.stack([labels, incident]), axis=1, return_counts=True)[1]
    own = np.bincount(np.unique(incident, return_inverse=True)[1])
    right, found, true = (int((count * (count - 1) // 2).sum()) for count in (both, sizes, own))
    result |= {"pairs": found, "precision": round(right / max(found, 1), 4)}
    result["recall"] = round(right / max(true, 1), 4)
    if index:
        result["index"] = add_to_index(groups, grouper, folder)
    return result


def add_to_index(groups: Any, grouper: DuplicateGrouper, folder: Path) -> dict[str, Any]:
    """Fill an index with the groups and time adding one case after the other."""
    rng = random.Random(6)
    chosen = [groups.cases[rng.randrange(len(groups.cases))] for _ in range(300)]
    late = [Case(edited(case.text, rng), id=f"late-{at}", embedding=case.embedding) for at, case in enumerate(chosen)]
    with tempfile.TemporaryDirectory(dir=folder) as place:
        start = time.perf_counter()
        with DuplicateIndex.open(Path(place) / "index", grouper) as index:
            index.load_groups(groups)
            filled = time.perf_counter() - start
            times = []
            for case in late:
                start = time.perf_counter()
                index.add([case])
                times.append(1000 * (time.perf_counter() - start))
            size = index.stats()["bytes"]
    p50, p95 = np.quantile(times, (0.5, 0.95))
    return {
        "cases": len(groups.cases),
        "fill_seconds": round(filled, 1),
        "add_median_ms": round(float(p50), 2),
        "add_p95_ms": round(float(p95), 2),
        "bytes_per_case": round(size / len(groups.cases)),
    }


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw time and memory against the number of cases."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    sizes = np.array([row["cases"] for row in rows], float)
    seconds = np.array([row["seconds"] for row in rows])
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    left.loglog(sizes, seconds, "o-", label="measured")
    reference = sizes * np.log(sizes)
    left.loglog(
        sizes, reference / reference[-1] * seconds[-1], "--", color="grey", label="n log n through the last point"
    )
    left.set(xlabel="cases", ylabel="seconds", title="Time to group")
    left.legend()
    right.plot(sizes / 1e6, [row["added_mb"] / 1024 for row in rows], "o-")
    right.axhline(4, color="grey", linestyle="--")
    right.set(xlabel="million cases", ylabel="GB beyond texts and vectors", title="Memory", ylim=(0, None))
    figure.savefig(path, dpi=120)


def main(
    data: Annotated[Path | None, "folder of public data: bahrain_laws and bahraini_reviews"] = None,
    largest: int = SIZES[-1],
    work: Path = Path("build/scale"),
    one: Annotated[int | None, "only group so many prepared texts, and print the result as JSON"] = None,
    index: Annotated[bool, "with --one: also measure adding to an index"] = False,
) -> None:
    """Measure from the command line."""
    if one:
        print(json.dumps(group(work, one, index)))
        return
    if data is None:
        sys.exit("--data is needed: the folder with bahrain_laws and bahraini_reviews")
    work.mkdir(parents=True, exist_ok=True)
    sizes = [size for size in SIZES if size <= largest]
    prepared = work / f"facts-{sizes[-1]}.json"
    if not prepared.exists():
        facts = prepare(data, sizes[-1], work)
        prepared.write_text(json.dumps(facts), encoding="utf-8")
    facts = json.loads(prepared.read_text(encoding="utf-8"))
    print(facts, flush=True)
    rows = []
    for size in sizes:
        # Each size in a process of its own, so that its peak of memory is its own.
        command = [sys.executable, "-m", "eval.scale.duplicates", "--work", str(work), "--one", str(size)]
        last = size == sizes[-1]
        done = subprocess.run(command + ["--index"] * last, check=True, capture_output=True, text=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        print(rows[-1], flush=True)
    slope = np.polyfit(np.log([row["cases"] for row in rows]), np.log([row["seconds"] for row in rows]), 1)[0]
    result = {
        **provenance("python -m eval.scale.duplicates --data DIR"),
        "data": facts,
        "rows": rows,
        "exponent": round(float(slope), 3),
    }
    publish_page(result, markdown(result), RESULTS / "duplicates_scale")
    plot(rows, RESULTS / "duplicates_scale.png")


def markdown(result: dict[str, Any]) -> str:
    """Render the result as Markdown."""
    index = result["rows"][-1]["index"]
    cosines = result["data"]["cosines"]
    lines = [
        "# Grouping at scale",
        "",
        f"{result['date']}, {result['machine']}, `{result['command']}`. {result['data']['real_texts']} real texts "
        f"and edited ones; {100 * result['data']['copies']:.0f}% are copies. Vectors computed beforehand: those of "
        f"edited texts are their source's, moved to the median cosine that the model gives such edits (copies "
        f"{cosines['edited']:.3f}, other incidents {cosines['elsewhere']:.3f}).",
        "",
        "| cases | seconds | MB beyond texts and vectors | precision of merged pairs | recall of copies |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['cases']:,} | {row['seconds']} | {row['added_mb']:,} | {row['precision']} | {row['recall']} |"
        for row in result["rows"]
    ]
    minhash = result["data"]["minhash"]
    lines += [
        "",
        f"Signatures of {minhash['texts']} texts, 128 values, one thread: rensa "
        f"{minhash['texts_per_second']['rensa']:,} texts a second (error of the estimated overlap "
        f"{minhash['rms_error']['rensa']}), datasketch "
        f"{minhash['texts_per_second']['datasketch']:,} ({minhash['rms_error']['datasketch']}).",
        "",
        f"Time grows as the number of cases to the power {result['exponent']} (n log n over this range: "
        f"{_n_log_n(result['rows']):.3f}).",
        "",
        f"An index of {index['cases']:,} cases: filled from finished groups in {index['fill_seconds']} s; adding one "
        f"case with its vector, until it is on disk: median {index['add_median_ms']} ms, 95th percentile "
        f"{index['add_p95_ms']} ms; {index['bytes_per_case']} bytes a case.",
        "",
        "![time and memory](duplicates_scale.png)",
    ]
    return "\n".join(lines) + "\n"


def _n_log_n(rows: list[dict[str, Any]]) -> float:
    sizes = np.array([row["cases"] for row in rows], float)
    return float(np.polyfit(np.log(sizes), np.log(sizes * np.log(sizes)), 1)[0])


if __name__ == "__main__":
    sys.exit(run_script(main))
