"""Precision where it matters: which types a tensor may have, what they cost, and the share of a budget that each gets.

The objective is the sum over tensors of size times relative error,

    J = sum_t c_t e_t(type_t)       c_t = elements of t / elements of all tensors that can be changed
                                    e_t(type) = error(type) / energy        (`actors.llama.rounding`)

the mean, over weights, of the part of its tensor's output that rounding turns into noise. Measuring is `measurement`'s,
the optimum under a budget `allocation`'s; here a recipe with a budget becomes a list of types.

with elements counted as often as a token uses them (`_weight`). Relative errors, because the loss grows about linearly
in them, with one coefficient a layer (Malinovskii et al. 2025, "HIGGS: Pushing the Limits of Large Language Model
Quantization via the Linearity Theorem", arXiv 2411.17525). The coefficients are not measured here, c_t stands for them.

Chosen by measurement on SmolLM2-135M (Q4_1, made continuous by noise within its steps; 22 mixes of types; KL
divergence from the unquantized model on 1024 positions of calibration text that the matrix had not seen). Correlation
of log KL with the log of what is predicted, and standard deviation of their difference:

    sum of absolute errors 0.81, 1.15        sum of relative errors              0.54, 0.95
    elements x relative    0.89, 0.47        elements x uses x relative (this)   0.96, 0.27

What they choose differs less: with 0.25 bits a weight added, KL falls from 0.0493 (q4_k_m) to 0.0245 to 0.0251 by all
three relative objectives, to 0.0287 by absolute errors, and to 0.0329 in the control; from 0.1114 (q3_k_m) to 0.0689 to
0.0717 by the relative ones, and to 0.0817 in the control. One small model was all there was to measure on: the weights
c_t of experts, and of embeddings other than its own, are reasoned and not measured.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from gguf import GGUF_DEFAULT_ALIGNMENT

from actors.llama import ggml
from actors.llama.file_types import QuantType
from actors.llama.gguf_file import UNQUANTIZED, GgufHeader
from actors.llama.overrides import TypeOverrides, ordered_types
from actors.llama.quantizer import QuantizePlan, TensorPlan
from actors.quantization.allocation import Option, select_cheapest, spread
from actors.recipes import ByteBudget

CONTROL_SEED = 0
"""Of the order in which a control arm's tensors take their steps."""
PROVENANCE_BYTES = 4096
"""Room that a target for the whole file leaves to what quantizing adds to the header (a few hundred bytes)."""

LOOKUP_USE = 0.1
"""What rounding a token embedding does to the output, against rounding an output tensor alike: measured on
SmolLM2-135M with its tied tensor given twice (KL divergence 0.010 and 0.091 with q4_0)."""

_K = ("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q8_0")
_BLOCKS_OF_32 = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0")
_IQ = ("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_XS", "Q5_K", "Q6_K", "Q8_0")
_IQ_BLOCKS_OF_32 = ("IQ4_NL", "Q5_0", "Q5_1", "Q8_0")
# tensor_requires_imatrix of llama.cpp (src/llama-quant.cpp) refuses these without data.
_NEED_IMPORTANCE = frozenset({"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS"})


@dataclass(frozen=True)
class Ladder:
    """The types that one tensor may have, from small to large; each takes more bytes than the one before."""

    name: str
    types: tuple[str, ...]
    """Upper case."""
    n_bytes: tuple[int, ...]
    """Padded, as they take up room in a file."""
    base: int
    """Which of them the method gives; the smallest one under a level."""
    weight: float
    """How much its relative error counts: its elements, each as often as a token makes use of it (`_weight`)."""


@dataclass(frozen=True)
class AllocationProblem:
    """What the budget of an arm is about, covered without any measurement."""

    ladders: tuple[Ladder, ...]
    budget_bytes: int
    """Of the tensors that have ladders."""
    base_bytes: int
    """What the method would spend on them."""
    file_bytes: int
    """Of a file that spends the budget."""
    smallest_file_bytes: int
    n_elements: int
    """Of the whole model."""

    @property
    def fits(self) -> bool:
        """False where not even the smallest types do."""
        return self.budget_bytes >= sum(ladder.n_bytes[0] for ladder in self.ladders)


def families(method: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The types of a method's family: for rows of whole blocks of 256, and for other rows.

    ============  =========================  =============================================================
    method        types                      why these
    ============  =========================  =============================================================
    q4_0, q5_1..  blocks of 32 alone         whoever asks for these wants kernels that are simple and everywhere
    iq...         i-quants, then q5_k up     there is no i-quant above 4.25 bits
    all others    k-quants                   the family of llama.cpp's own mixes, which all backends know
    ============  =========================  =============================================================

    Rows that are no multiple of 256 take blocks of 32, as in llama.cpp's own fallbacks. After the last type comes 16
    bits, bf16 where the source has it. What the method itself gives a tensor is always among its types.
    """
    if method.startswith("iq"):
        return _IQ, _IQ_BLOCKS_OF_32
    return (_BLOCKS_OF_32 if method in ("q4_0", "q4_1", "q5_0", "q5_1") else _K), _BLOCKS_OF_32


def make_problem(
    plan: QuantizePlan,
    quant_type: QuantType,
    overrides: TypeOverrides,
    budget: ByteBudget,
    header: GgufHeader,
    covered: Collection[str],
) -> AllocationProblem:
    """Lay the ladders against what the method gives each tensor, and say how much there is to spend.

    What the recipe itself orders for a tensor stays as it is.

    Args:
        plan: what llama.cpp makes of the recipe without any budget.
        header: of the model that is quantized.
        covered: tensors of which the importance matrix knows something.
    """
    shapes = {tensor.name: tensor.shape for tensor in header.tensors}
    ordered = ordered_types(list(shapes), overrides)
    upward = budget.extra_bpw is not None
    ladders = tuple(
        _ladder(tensor, shapes, header.expert_share, quant_type, has_data=tensor.name in covered, upward=upward)
        for tensor in plan.tensors
        if tensor.type not in UNQUANTIZED and len(shapes[tensor.name]) > 1 and tensor.name not in ordered
    )
    base = sum(ladder.n_bytes[ladder.base] for ladder in ladders)
    least, most = (sum(ladder.n_bytes[end] for ladder in ladders) for end in (0, -1))
    n_elements = header.n_parameters
    rest = plan.size_bytes - base  # header, and tensors without a ladder
    if budget.extra_bpw is not None:
        wanted = base + int(budget.extra_bpw * n_elements / 8)
    elif budget.target_bpw is not None:
        wanted = int(budget.target_bpw * n_elements / 8) + base - sum(_padded(one.n_bytes) for one in plan.tensors)
    else:
        wanted = (budget.target_bytes or 0) - PROVENANCE_BYTES - rest
    spent = min(wanted, most)
    return AllocationProblem(ladders, spent, base, rest + spent, rest + least, n_elements)


def _ladder(
    tensor: TensorPlan,
    shapes: Mapping[str, tuple[int, ...]],
    expert_share: float,
    quant_type: QuantType,
    *,
    has_data: bool,
    upward: bool,
) -> Ladder:
    shape = shapes[tensor.name]
    whole, other = families(quant_type.name)
    kinds = ggml.tensor_types()
    top = "BF16" if tensor.source_type == "BF16" else "F16"
    sizes: dict[int, str] = {}
    for name in (tensor.type, *(whole if shape[0] % 256 == 0 else other), top):
        needs_data = name in _NEED_IMPORTANCE or (name == "Q2_K" and quant_type.name == "q2_k_s")
        if name == tensor.type or (shape[0] % kinds[name].block == 0 and (has_data or not needs_data)):
            # Of equal sizes the first stays: the method's own.
            sizes.setdefault(_padded(kinds[name].n_bytes(_n_elements(shape))), name)
    base_bytes = _padded(kinds[tensor.type].n_bytes(_n_elements(shape)))
    n_bytes = tuple(size for size in sorted(sizes) if size >= base_bytes or not upward)
    types = tuple(sizes[size] for size in n_bytes)
    return Ladder(tensor.name, types, n_bytes, types.index(tensor.type), _weight(tensor.name, shapes, expert_share))


def _weight(name: str, shapes: Mapping[str, tuple[int, ...]], expert_share: float) -> float:
    """Elements, times the uses that a token makes of what they put out.

    Keys and values serve several query heads where those are more; a token goes through some of the experts only; a
    table in which tokens are looked up counts `LOOKUP_USE`, besides its use as output where it is tied.
    """
    shape = shapes[name]
    uses = expert_share if len(shape) > 2 else 1.0
    block, _, kind = name.rpartition(".attn_")
    queries = shapes.get(f"{block}.attn_output.weight")
    if kind in ("k.weight", "v.weight") and queries is not None:
        uses = max(1.0, queries[0] / shape[1])
    if name == "token_embd.weight":
        uses = LOOKUP_USE if "output.weight" in shapes else 1 + LOOKUP_USE
    return uses * _n_elements(shape)


def _n_elements(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def _padded(n_bytes: int) -> int:
    return -(-n_bytes // GGUF_DEFAULT_ALIGNMENT) * GGUF_DEFAULT_ALIGNMENT


RelativeErrors = Mapping[str, Mapping[str, float]]
"""By tensor name and type, upper case."""


@dataclass(frozen=True)
class Allocation:
    """A type for each tensor, and what it is predicted to do."""

    types: tuple[str, ...]
    """One a ladder, in their order."""
    n_bytes: int
    objective: float
    bound: float
    """No types within the budget can have a smaller objective."""


def allocate(problem: AllocationProblem, errors: RelativeErrors) -> Allocation:
    """The types with the smallest objective within the budget.

    Raises:
        ValueError: not even the smallest types fit.
    """
    total = sum(ladder.weight for ladder in problem.ladders)
    table = [
        [
            Option(n_bytes, ladder.weight / total * errors[ladder.name][kind])
            for kind, n_bytes in zip(ladder.types, ladder.n_bytes, strict=True)
        ]
        for ladder in problem.ladders
    ]
    choice = select_cheapest(table, problem.budget_bytes)
    return Allocation(_picked_types(problem, choice.picked), choice.n_bytes, choice.cost, choice.bound)


def allocate_control(problem: AllocationProblem) -> tuple[str, ...]:
    """The control: the same bytes, a step at a time for every tensor in an order drawn at random."""
    table = [[Option(n_bytes, 0.0) for n_bytes in ladder.n_bytes] for ladder in problem.ladders]
    start = [ladder.base for ladder in problem.ladders]
    rng = np.random.default_rng(CONTROL_SEED)
    return _picked_types(problem, spread(table, start, problem.budget_bytes, rng))


def _picked_types(problem: AllocationProblem, picked: Sequence[int]) -> tuple[str, ...]:
    return tuple(ladder.types[index] for ladder, index in zip(problem.ladders, picked, strict=True))


def objective(problem: AllocationProblem, types: Sequence[str], errors: RelativeErrors) -> float:
    """Of any types for the tensors that have ladders."""
    total = sum(ladder.weight for ladder in problem.ladders)
    parts = (ladder.weight * errors[ladder.name][kind] for ladder, kind in zip(problem.ladders, types, strict=True))
    return float(sum(parts) / total) if total else 0.0


def as_overrides(problem: AllocationProblem, types: Sequence[str], overrides: TypeOverrides) -> TypeOverrides:
    """The recipe's own overrides, and after them one for every tensor that has a ladder.

    Every one, although most keep the method's type: llama.cpp counts the tensors of a kind that it chooses a type for,
    and its choice depends on that count.
    """
    exact = tuple(
        ("^" + ladder.name.replace(".", r"\.") + "$", kind.lower())
        for ladder, kind in zip(problem.ladders, types, strict=True)
    )
    return TypeOverrides(overrides.output, overrides.embedding, (*overrides.tensors, *exact))
