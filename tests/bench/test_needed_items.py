"""The items that "no worse" takes: hand-made records whose answer is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.json_lines import write_jsonl
from actors.records import Record
from actors.store import RunDirectory
from conf.files import write_json
from stats.needed import items_without_loss
from tests.bench.needed_items import main


def write_run(root: Path, flips: dict[str, int], n_items: int) -> Path:
    """Write a run in which the reference is right on every second item and the arm differs on the first `flips`."""
    blocks = []
    for benchmark, n_flipped in flips.items():
        for arm in ("f16", "q4_k_m"):
            right = [(item % 2 == 0) != (arm != "f16" and item < n_flipped) for item in range(n_items)]
            records = [
                Record(
                    f"{item:03}", 0, "prompt", "prompt", "correct" if is_right else "wrong", score=float(is_right),
                    prompt_tokens=20, completion_tokens=5,
                )
                for item, is_right in enumerate(right)
            ]  # fmt: skip
            file = f"records/{benchmark}.{arm}-12345678/00000-{n_items}.g0.jsonl"
            (root / file).parent.mkdir(parents=True)
            write_jsonl(root / file, records)
            blocks.append({"arm": arm, "benchmark": benchmark, "seeds": [0], "n_items": n_items, "file": file})
    artifacts = [{"arm": "f16", "reference": None}, {"arm": "q4_k_m", "reference": "f16"}]
    write_json(RunDirectory(root).plan, {"blocks": blocks, "artifacts": artifacts, "models": []})
    return root


def test_known_numbers_of_items(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = write_run(tmp_path / "before", {"gsm8k": 10}, 200)
    after = write_run(tmp_path / "after", {"gsm8k": 4, "math": 0}, 200)
    main(["--before", str(before), "--after", str(after), "--simulations", "100"])
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()[2:]]
    items = [float(row[6].replace(",", "")) for row in rows]
    assert [row[:4] for row in rows] == [
        ["q4_k_m", "before, alone", "gsm8k", "accuracy"],
        ["q4_k_m", "after, alone", "gsm8k", "accuracy"],
        ["q4_k_m", "after, alone", "math", "accuracy"],
        ["q4_k_m", "after, on average", "gsm8k, math", "accuracy"],
    ]
    # Flips of 5% and 2%: the textbook's n = 7.849·q/.01². Without flips ±z²/(n+z²) must lie within 1 point.
    assert items[0] == pytest.approx(items_without_loss(0.05, 0.01, proportion=True), rel=0.2)
    assert items[1] == pytest.approx(items_without_loss(0.02, 0.01, proportion=True), rel=0.2)
    assert items[2] == pytest.approx(381, rel=0.03)
    assert rows[2][7] == "9,500"  # 381 or 380 items of 20 + 5 tokens
    assert items[3] < items[1]


def test_few_recorded_items_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = write_run(tmp_path, {"gsm8k": 0}, 99)
    main(["--before", str(few), "--after", str(few), "--simulations", "20"])
    assert capsys.readouterr().out.count("| 99 (too few: a rough guess) |") == 2
