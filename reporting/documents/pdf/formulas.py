"""The formulas of the scorecard, typeset from LaTeX as SVG paths by ziamath, with its own mathematical font.

Each formula has an alternative text for screen readers. The template decides which formula stands where.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from ziamath.config import config
from ziamath.zmath import Latex

_SIZE_PX = 13.5
"""Font size of the formulas in CSS pixels. The text has 12."""


@dataclass(frozen=True)
class Formula:
    """One displayed formula."""

    latex: str
    ja: str
    en: str
    """The formula in words, like `ja`."""


FORMULAS = {
    "mean": Formula(
        r"\bar y_i = \frac{1}{R_i} \sum_{r=1}^{R_i} y_{ir}, \qquad \bar y = \frac{1}{n} \sum_{i=1}^{n} \bar y_i",
        "問題ごとに全実行の平均を求め、それを全問題で平均する。",
        "The mean over the runs of each item, then the mean over the items.",
    ),
    "interval": Formula(
        r"\bar y \pm t_{0.975,\,n-1} \, \mathrm{SE}, \qquad"
        r" \mathrm{SE} = \sqrt{\frac{\sum_{i} (\bar y_i - \bar y)^2}{n (n-1)}}",
        "平均 ± t 分布の97.5%点 × 標準誤差。",
        "The mean plus and minus the 97.5 percent point of the t distribution times the standard error.",
    ),
    "wilson": Formula(
        r"\frac{\bar y + \frac{z^2}{2n} \pm z \sqrt{\frac{\bar y (1 - \bar y)}{n} + \frac{z^2}{4 n^2}}}"
        r"{1 + \frac{z^2}{n}}",
        "Wilson 区間。",
        "Wilson's interval.",
    ),
    "difference": Formula(
        r"d_i = \bar y_i^{\mathrm{arm}} - \bar y_i^{\mathrm{ref}}, \qquad"
        r" \bar d = \frac{1}{n} \sum_{i=1}^{n} d_i",
        "問題ごとの差と、その平均。",
        "The difference for each item, and the mean of the differences.",
    ),
    "sign_flip": Formula(
        r"p = \frac{\#\{ s \in \{-1, 1\}^n : |\sum_i s_i d_i| \geq |\sum_i d_i| \}}{2^n}",
        "差の符号のすべての組み合わせのうち、和の絶対値が観測値以上になるものの割合。",
        "The share of all sign assignments whose sum is at least as large in absolute value as the observed sum.",
    ),
    "effect": Formula(
        r"d = J \, \frac{\bar d}{s_d}, \qquad J = 1 - \frac{3}{4 (n-1) - 1}",
        "差の平均を差の標準偏差で割り、小標本の補正係数を掛けた値。",
        "The mean of the differences divided by their standard deviation, times the small-sample factor.",
    ),
    "verdict": Formula(
        r"\mathrm{no\ worse}: \; L > -\delta \;\mathrm{and}\; L_k > 0 \qquad"
        r" \mathrm{worse}: \; U < -\delta \;\mathrm{or}\; U_k < 0, \qquad k = \bar d + x \, (\bar r - c)",
        "区間の下端 L と上端 U を許容幅 δ と比べ、残すべき割合についての k の区間を0と比べる判定規則。",
        "The rule for verdicts: the ends L and U of the interval are compared with the margin delta, and those of the"
        " share to keep, k, with 0.",
    ),
    "importance": Formula(
        r"s_j = \frac{\sum_t \omega_t \, x_{tj}^2}{\sum_t \omega_t}",
        "入力の次元 j ごとの、活性化の二乗の加重平均。",
        "The weighted mean of the squared activations of each input dimension j.",
    ),
    "rounding": Formula(
        r"E = \sum_i \sum_j s_j \, (w_{ij} - \hat w_{ij})^2",
        "重要度で重みづけした丸め誤差の二乗和。",
        "The sum of squared rounding errors, weighted with the importance.",
    ),
    "allocation": Formula(
        r"\min \; \frac{\sum_t c_t \, e_t(q_t)}{\sum_t c_t}"
        r" \quad \mathrm{subject\ to} \quad \sum_t B_t(q_t) \leq B",
        "予算 B の範囲で、テンソルの相対誤差の加重平均を最小にする型の組み合わせ。",
        "The choice of types with the smallest weighted mean of relative errors within a budget of B bytes.",
    ),
}
"""Name -> formula."""


@functools.cache
def formula_svg(name: str) -> bytes:
    """Return a formula as an SVG image, with its size in CSS pixels."""
    # SVG 1 draws every letter as a path in place. SVG 2 uses symbols that a renderer must look up.
    config.svg2 = False
    return str(Latex(FORMULAS[name].latex, size=_SIZE_PX).svg()).encode()
