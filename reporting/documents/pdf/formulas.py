"""The formulas of the scorecard, typeset: LaTeX -> SVG paths, drawn by ziamath from its own mathematical font.

Each has an alternative text that reads the formula aloud, because a picture says nothing to a screen reader. Which
formula stands where is left to the template.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from ziamath.config import config
from ziamath.zmath import Latex

_SIZE_PX = 13.5
"""Of the letters, in CSS pixels: those of the text are 12."""


@dataclass(frozen=True)
class Formula:
    """One displayed formula."""

    latex: str
    ja: str
    en: str
    """The formula in words."""


FORMULAS = {
    "mean": Formula(
        r"\bar y_i = \frac{1}{R_i} \sum_{r=1}^{R_i} y_{ir}, \qquad \bar y = \frac{1}{n} \sum_{i=1}^{n} \bar y_i",
        "問題ごとに実行について平均し、それを問題について平均する。",
        "Mean over the runs of each item, then over items.",
    ),
    "interval": Formula(
        r"\bar y \pm t_{0.975,\,n-1} \, \mathrm{SE}, \qquad"
        r" \mathrm{SE} = \sqrt{\frac{\sum_{i} (\bar y_i - \bar y)^2}{n (n-1)}}",
        "平均に、標準誤差とt分布の97.5パーセント点の積を足し引きしたもの。",
        "Mean plus and minus the standard error times the 97.5 percent point of the t distribution.",
    ),
    "wilson": Formula(
        r"\frac{\bar y + \frac{z^2}{2n} \pm z \sqrt{\frac{\bar y (1 - \bar y)}{n} + \frac{z^2}{4 n^2}}}"
        r"{1 + \frac{z^2}{n}}",
        "Wilson の区間。",
        "Wilson's interval.",
    ),
    "difference": Formula(
        r"d_i = \bar y_i^{\mathrm{arm}} - \bar y_i^{\mathrm{ref}}, \qquad"
        r" \bar d = \frac{1}{n} \sum_{i=1}^{n} d_i",
        "問題ごとの差と、その平均。",
        "Difference of each item, and the mean of the differences.",
    ),
    "sign_flip": Formula(
        r"p = \frac{\#\{ s \in \{-1, 1\}^n : |\sum_i s_i d_i| \geq |\sum_i d_i| \}}{2^n}",
        "符号を入れ替えた和の絶対値が、観測された和の絶対値以上になる割合。",
        "The part of all assignments of signs whose sum is at least as large as the one that was seen.",
    ),
    "effect": Formula(
        r"d = J \, \frac{\bar d}{s_d}, \qquad J = 1 - \frac{3}{4 (n-1) - 1}",
        "差の平均を差の標準偏差で割り、小標本の補正を掛けたもの。",
        "Mean of the differences over their standard deviation, times the small-sample factor.",
    ),
    "verdict": Formula(
        r"\mathrm{no\ worse}: \; L > -\delta \qquad \mathrm{worse}: \; U < -\delta \;\;\mathrm{or}\;\;"
        r" (p_{\mathrm{Holm}} < 0.05 \;\mathrm{and}\; \bar d < 0 \;\mathrm{and}\; L \leq -\delta)",
        "区間の下端Lと上端Uを許容幅δと比べる判定の規則。",
        "The rule of the verdict: the ends L and U of the interval against the margin delta.",
    ),
    "importance": Formula(
        r"s_j = \frac{\sum_t \omega_t \, x_{tj}^2}{\sum_t \omega_t}",
        "入力の次元jごとの、活性の二乗の(重みつき)平均。",
        "The (weighted) mean of squared activations of each input dimension j.",
    ),
    "rounding": Formula(
        r"E = \sum_i \sum_j s_j \, (w_{ij} - \hat w_{ij})^2",
        "重要度で重みづけた丸め誤差の二乗和。",
        "Squared rounding errors, weighted with the importance.",
    ),
    "allocation": Formula(
        r"\min \; \frac{\sum_t c_t \, e_t(q_t)}{\sum_t c_t}"
        r" \quad \mathrm{subject\ to} \quad \sum_t B_t(q_t) \leq B",
        "予算Bの中で、テンソルの相対誤差の加重平均を最小にする型の組み合わせ。",
        "The types that make the weighted mean of relative errors smallest within the budget of B bytes.",
    ),
}
"""Name -> formula."""


@functools.cache
def formula_svg(name: str) -> bytes:
    """The picture of a formula; its size is in CSS pixels."""
    # SVG 1 draws each letter where it stands: no symbols that a renderer must look up.
    config.svg2 = False
    return str(Latex(FORMULAS[name].latex, size=_SIZE_PX).svg()).encode()
