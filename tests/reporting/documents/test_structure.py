"""The order of headings, tables and figures in each document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pypdf
import pytest

REPORT = """
# 量子化の分析報告 / Quantization analysis report
## 概要 / Summary
table 8: アーム<br>Arm
## 比較したもの / What was compared
table 9: アーム<br>Arm
## 結果 / Results
figure quantization_performance
figure quantization_efficiency
figure quantization_difference
figure quantization_heatmap
figure quantization_categories
figure answer_lengths
### カテゴリー別 / By category
table 5: カテゴリー<br>Category
### GSM8K(小学校算数) / GSM8K (grade-school mathematics)
table 10: アーム<br>Arm
table 9: アーム − 基準<br>Arm − reference
### ARC-Challenge(理科・多肢選択) / ARC-Challenge (science, multiple choice)
table 10: アーム<br>Arm
table 9: アーム − 基準<br>Arm − reference
### パープレキシティ(WikiText-2、英語) / Perplexity (WikiText-2, English)
table 10: アーム<br>Arm
table 9: アーム − 基準<br>Arm − reference
### パープレキシティ(日本語Wikipedia) / Perplexity (Japanese Wikipedia)
table 10: アーム<br>Arm
table 9: アーム − 基準<br>Arm − reference
## 正誤の反転 / Flips between right and wrong
table 9: ベンチマーク<br>Benchmark
## 回答の長さ / Length of the answers
table 10: ベンチマーク<br>Benchmark
## 速度とメモリ / Speed and memory
table 7: アーム<br>Arm
## 失敗と欠測 / Failures and missing data
### 失敗した作業 / Failed work
### 採点不能の記録 / Unscored records
table 4: アーム<br>Arm
### 代替型のテンソル / Fallback tensors
## 回答の例 / Answers side by side
### gsm8k · gsm8k-0017 · シード / seed 0
table 4: アーム / Arm
### gsm8k · gsm8k-0024 · シード / seed 0
table 4: アーム / Arm
### gsm8k · gsm8k-0000 · シード / seed 0
table 4: アーム / Arm
## 通知 / Notices
## 限界 / Limits
## 再現 / Reproducibility
table 2: コンポーネント<br>Component
table 2: ファイル / File
"""

METHODOLOGY = """
# 量子化と評価の方法 / Methodology of quantization and evaluation
## 1. 対象のモデル / Models
table 7: モデル<br>Model
## 2. 重要度行列 / Importance matrix
## 3. 量子化 / Quantization
table 9: アーム<br>Arm
## 4. 評価 / Evaluation
table 8: ベンチマーク<br>Benchmark
## 5. 統計 / Statistics
table 5: 問題数の予定 / Looks at
## 6. 限界 / Limits
## 7. 設定と版 / Settings and versions
table 2: 設定<br>Setting
table 2: コンポーネント<br>Component
"""

SCORECARD = """
# 量子化の評価 / Evaluation of quantizations
## 要旨 / Abstract
## 対象と設定 / Set-up
## 方法 / Methods
## 結果 / Results
### GSM8K(小学校算数) / GSM8K (grade-school mathematics)
### ARC-Challenge(理科・多肢選択) / ARC-Challenge (science, multiple choice)
### パープレキシティ(WikiText-2、英語) / Perplexity (WikiText-2, English)
### パープレキシティ(日本語Wikipedia) / Perplexity (Japanese Wikipedia)
### 速度とメモリ / Speed and memory
## 欠測と失敗 / Missing data and failures
### 通知 / Notices
## 限界 / Limitations
## 再現 / Reproducibility
## 参考文献 / References
"""


def outline(path: Path) -> list[str]:
    """Return the headings as written, tables as their first header and number of columns, figures as file names."""
    found = []
    lines = path.read_text(encoding="utf-8").splitlines()
    fenced = False
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        fenced ^= line.startswith("```")
        if fenced:
            continue
        if re.match("#{1,3} ", line):
            found.append(line)
        elif line.startswith("|") and below.startswith("| ---"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            found.append(f"table {len(cells)}: {cells[0]}")
        elif figure := re.match(r"!\[.*\]\((.*)\)$", line):
            found.append(f"figure {Path(figure[1]).stem}")
    return found


def bookmarks(entries: list[Any], level: int = 1) -> Iterator[str]:
    """Yield the headings of a PDF as a PDF reader lists them."""
    for entry in entries:
        if isinstance(entry, list):
            yield from bookmarks(entry, level + 1)
        else:
            yield f"{'#' * level} {str(entry['/Title']).replace(chr(10), ' / ')}"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("reports/quantization_analysis_report.md", REPORT),
        ("methodology/quantization_methodology.md", METHODOLOGY),
    ],
    ids=["report", "methodology"],
)
def test_headings_tables_and_figures_are_in_order(run: Path, name: str, expected: str) -> None:
    assert outline(run / name) == expected.strip().splitlines()


def test_the_scorecard_is_built_like_a_paper(run: Path) -> None:
    reader = pypdf.PdfReader(run / "scorecards/quantization_evaluation.pdf")
    assert list(bookmarks(reader.outline)) == SCORECARD.strip().splitlines()
    text = " ".join(" ".join(page.extract_text() for page in reader.pages).split())
    # Captions are numbered without gaps.
    for word in ("表", "図"):
        numbers = [int(number) for number in re.findall(rf"{word} (\d+)\. ", text)]
        assert numbers == list(range(1, len(numbers) + 1)), word
        assert len(numbers) >= 5


def test_all_pages_have_numbers_and_all_but_the_first_a_running_head(run: Path) -> None:
    pages = pypdf.PdfReader(run / "scorecards/quantization_evaluation.pdf").pages
    for place, page in enumerate(pages, 1):
        text = page.extract_text()
        assert f"{place} / {len(pages)}" in text
        assert ("Evaluation of quantizations —" in text) == (place > 1)
