"""The literature that the documents cite, numbered in one order.

Each entry has an identifier for looking it up. A paper on a benchmark or a method is cited only if the run used that
benchmark or method.
"""

from __future__ import annotations

from dataclasses import dataclass

from reporting.results_folder import Findings


@dataclass(frozen=True)
class Reference:
    """One entry of the list of references."""

    key: str
    authors: str
    year: int
    title: str
    where: str
    """The journal with volume and pages, or the archive."""
    identifier: str
    """DOI, arXiv id, ISBN or address."""
    kind: str = "article"
    """BibTeX entry type."""


_STATISTICS = (
    Reference(
        "miller",
        "Evan Miller",
        2024,
        "Adding Error Bars to Evals: A Statistical Approach to Language Model Evaluations",
        "arXiv preprint",
        "arXiv:2411.00640",
    ),
    Reference(
        "wilson",
        "Edwin B. Wilson",
        1927,
        "Probable Inference, the Law of Succession, and Statistical Inference",
        "Journal of the American Statistical Association 22(158), 209–212",
        "doi:10.1080/01621459.1927.10502953",
    ),
    Reference(
        "newcombe",
        "Robert G. Newcombe",
        1998,
        "Improved confidence intervals for the difference between binomial proportions based on paired data",
        "Statistics in Medicine 17(22), 2635–2650",
        "PMID:9839354",
    ),
    Reference(
        "phipson",
        "Belinda Phipson and Gordon K. Smyth",
        2010,
        "Permutation P-values Should Never Be Zero: Calculating Exact P-values When Permutations Are Randomly Drawn",
        "Statistical Applications in Genetics and Molecular Biology 9(1), Article 39",
        "doi:10.2202/1544-6115.1585",
    ),
    Reference(
        "hedges",
        "Larry V. Hedges",
        1981,
        "Distribution Theory for Glass's Estimator of Effect Size and Related Estimators",
        "Journal of Educational Statistics 6(2), 107–128",
        "doi:10.3102/10769986006002107",
    ),
    Reference(
        "holm",
        "Sture Holm",
        1979,
        "A Simple Sequentially Rejective Multiple Test Procedure",
        "Scandinavian Journal of Statistics 6(2), 65–70",
        "https://www.jstor.org/stable/4615733",
    ),
    Reference(
        "benjamini",
        "Yoav Benjamini and Yosef Hochberg",
        1995,
        "Controlling the False Discovery Rate: A Practical and Powerful Approach to Multiple Testing",
        "Journal of the Royal Statistical Society: Series B 57(1), 289–300",
        "doi:10.1111/j.2517-6161.1995.tb02031.x",
    ),
    Reference(
        "flips",
        "Abhinav Dutta and Sanjeev Krishnan and Nipun Kwatra and Ramachandran Ramjee",
        2024,
        "Accuracy is Not All You Need",
        "arXiv preprint",
        "arXiv:2407.09141",
    ),
)
_BETTING = Reference(
    "betting",
    "Ian Waudby-Smith and Aaditya Ramdas",
    2020,
    "Estimating means of bounded random variables by betting",
    "arXiv preprint",
    "arXiv:2010.09686",
)
_LAN_DEMETS = Reference(
    "lan_demets",
    "K. K. Gordon Lan and David L. DeMets",
    1983,
    "Discrete sequential boundaries for clinical trials",
    "Biometrika 70(3), 659–663",
    "doi:10.1093/biomet/70.3.659",
)
_ZOU = Reference(
    "zou",
    "Guang Yong Zou and Allan Donner",
    2008,
    "Construction of confidence limits about effect measures: A general approach",
    "Statistics in Medicine 27(10), 1693–1702",
    "doi:10.1002/sim.3095",
)
_JUDGING = (
    Reference(
        "krippendorff",
        "Klaus Krippendorff",
        2011,
        "Computing Krippendorff's Alpha-Reliability",
        "University of Pennsylvania, Departmental Papers (ASC) 43",
        "https://repository.upenn.edu/asc_papers/43",
        kind="misc",
    ),
    Reference(
        "jackknife",
        "James G. MacKinnon and Halbert White",
        1985,
        "Some heteroskedasticity-consistent covariance matrix estimators with improved finite sample properties",
        "Journal of Econometrics 29(3), 305–325",
        "doi:10.1016/0304-4076(85)90158-7",
    ),
    Reference(
        "ppi",
        "Anastasios N. Angelopoulos and John C. Duchi and Tijana Zrnic",
        2023,
        "PPI++: Efficient Prediction-Powered Inference",
        "arXiv preprint",
        "arXiv:2311.01453",
    ),
)
LLAMA_CPP = Reference(
    "llama_cpp",
    "Georgi Gerganov and contributors",
    2023,
    "llama.cpp: LLM inference in C/C++",
    "software",
    "https://github.com/ggml-org/llama.cpp",
    kind="misc",
)
_IMATRIX = Reference(
    "imatrix",
    "Iwan Kawrakow",
    2024,
    "Importance Matrix calculation",
    "llama.cpp, pull request 4861",
    "https://github.com/ggml-org/llama.cpp/pull/4861",
    kind="misc",
)
_LINEARITY = Reference(
    "linearity",
    "Vladimir Malinovskii and Andrei Panferov and Ivan Ilin and Han Guo and Peter Richtárik and Dan Alistarh",
    2024,
    "Pushing the Limits of Large Language Model Quantization via the Linearity Theorem",
    "arXiv preprint",
    "arXiv:2411.17525",
)
_BENCHMARKS = {
    "gsm8k": Reference(
        "gsm8k",
        "Karl Cobbe and others",
        2021,
        "Training Verifiers to Solve Math Word Problems",
        "arXiv preprint",
        "arXiv:2110.14168",
    ),
    "math": Reference(
        "math",
        "Dan Hendrycks and others",
        2021,
        "Measuring Mathematical Problem Solving With the MATH Dataset",
        "arXiv preprint",
        "arXiv:2103.03874",
    ),
    "arc_challenge": Reference(
        "arc_challenge",
        "Peter Clark and others",
        2018,
        "Think you have Solved Question Answering? Try ARC, the AI2 Reasoning Challenge",
        "arXiv preprint",
        "arXiv:1803.05457",
    ),
    "mgsm": Reference(
        "mgsm",
        "Freda Shi and others",
        2022,
        "Language Models are Multilingual Chain-of-Thought Reasoners",
        "arXiv preprint",
        "arXiv:2210.03057",
    ),
    "perplexity_wikitext2": Reference(
        "perplexity_wikitext2",
        "Stephen Merity and Caiming Xiong and James Bradbury and Richard Socher",
        2016,
        "Pointer Sentinel Mixture Models",
        "arXiv preprint",
        "arXiv:1609.07843",
    ),
}
"""Beginning of a benchmark's name -> the paper that introduced it."""


def references_of(findings: Findings) -> tuple[Reference, ...]:
    """Return what the documents of this run cite, in the order of the numbers."""
    found = [*_STATISTICS]
    if findings.analysis is not None and findings.analysis.get("early_stop"):
        found.append(_BETTING)
    if findings.shares_level:
        found.append(_LAN_DEMETS)
    if findings.categories or (findings.analysis or {}).get("pooled"):
        found.append(_ZOU)
    if findings.judging:
        found += _JUDGING
    found.append(LLAMA_CPP)
    if findings.comparison["imatrices"]:
        found.append(_IMATRIX)
    if any(arm.get("budget") for arm in findings.arms):
        found.append(_LINEARITY)
    names = [benchmark["name"] for benchmark in findings.benchmarks]
    found += [one for start, one in _BENCHMARKS.items() if any(_belongs_to(name, start) for name in names)]
    return tuple(found)


def _belongs_to(name: str, start: str) -> bool:
    return name == start or name.startswith(f"{start}_")


def bibtex(reference: Reference) -> str:
    """Return the entry in BibTeX."""
    kind, _, number = reference.identifier.partition(":")
    fields = {"author": reference.authors, "title": f"{{{reference.title}}}", "year": str(reference.year)}
    if kind == "arXiv":
        fields |= {"eprint": number, "archivePrefix": "arXiv"}
    elif kind == "doi":
        fields |= {"journal": reference.where, "doi": number}
    elif kind == "https":
        where = "journal" if reference.kind == "article" else "howpublished"
        fields |= {where: reference.where, "url": reference.identifier}
    else:
        fields |= {"journal": reference.where, "note": reference.identifier}
    # BibTeX itself writes `others` for et al.
    entry = "misc" if kind == "arXiv" else reference.kind
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
    return f"@{entry}{{{reference.key}{reference.year},\n{lines}\n}}"


def authors_text(reference: Reference) -> str:
    """Return the authors as printed in a list of references."""
    names = reference.authors.split(" and ")
    if names[-1] == "others":
        return f"{names[0]} et al."
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
