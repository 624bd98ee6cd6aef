"""Protect the tensors that matter most: which types each tensor may have, and which of them it gets under a budget.

The objective is the sum over tensors of size times relative error:

    J = sum_t c_t e_t(type_t)       c_t = elements of t / elements of all adjustable tensors,
                                          with elements counted as often as a token uses them (`_weight`)
                                    e_t(type) = error(type) / energy        (`actors.llama.rounding`)

J is the mean, over weights, of the fraction of a tensor's output that rounding turns into noise. `measurement` measures
the errors, `allocation` finds the optimum under a budget, and this module turns a recipe with a budget into a list of
types.

Relative errors are used because the loss grows about linearly with them, with one coefficient per layer (Malinovskii et
al. 2025, "HIGGS: Pushing the Limits of Large Language Model Quantization via the Linearity Theorem", arXiv 2411.17525).
The coefficients are not measured here; c_t takes their place.

The objective was chosen by measurement on SmolLM2-135M: Q4_1, made continuous by noise within its steps; 22 mixes of
types; KL divergence from the unquantized model on 1024 positions of calibration text that the matrix had not seen. The
first number is the correlation of log KL with the log of the predicted value, the second is the standard deviation of
their difference:

    sum of absolute errors 0.81, 1.15        sum of relative errors              0.54, 0.95
    elements x relative    0.89, 0.47        elements x uses x relative (this)   0.96, 0.27

The resulting choices differ less. With 0.25 extra bits per weight, KL of q4_k_m falls from 0.0493 to between 0.0245 and
0.0251 for all three relative objectives, to 0.0287 for absolute errors, and to 0.0329 in the control arm. KL of q3_k_m
falls from 0.1114 to between 0.0689 and 0.0717 for the relative objectives, and to 0.0817 in the control arm. Only this
one small model was available for measuring: the weights c_t of experts, and of embeddings other than its own, follow
from reasoning and were not measured.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from gguf import GGUF_DEFAULT_ALIGNMENT

from actors.llama import ggml
from actors.llama.file_types import QuantType
from actors.llama.gguf_file import UNQUANTIZED, GgufHeader
from actors.llama.overrides import TypeOverrides, exact_pattern, requested_types
from actors.llama.quantizer import QuantizePlan, TensorPlan
from actors.quantization.allocation import Option, select_cheapest, spread
from actors.recipes import ByteBudget

CONTROL_SEED = 0
"""Seed of the random order in which the tensors of a control arm take their steps."""
PROVENANCE_BYTES = 4096
"""Bytes of a target file size that are reserved for what quantizing adds to the header (a few hundred bytes)."""

LOOKUP_USE = 0.1
"""Effect on the output of rounding a token embedding, relative to rounding an output tensor in the same way. Measured
on SmolLM2-135M with its tied tensor stored twice (KL divergence 0.010 and 0.091 with q4_0)."""

_K = ("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q8_0")
_BLOCKS_OF_32 = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0")
_IQ = ("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_XS", "Q5_K", "Q6_K", "Q8_0")
_IQ_BLOCKS_OF_32 = ("IQ4_NL", "Q5_0", "Q5_1", "Q8_0")
# llama.cpp refuses to make these without importance data (tensor_requires_imatrix in src/llama-quant.cpp).
_NEED_IMPORTANCE = frozenset({"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS"})


@dataclass(frozen=True)
class Ladder:
    """The types that one tensor may have, from small to large. Each takes more bytes than the one before."""

    name: str
    types: tuple[str, ...]
    """Upper case."""
    n_bytes: tuple[int, ...]
    """Padded sizes, as in a file."""
    base: int
    """Index of the type that the method gives. Under a protection level it is the smallest."""
    weight: float
    """How much its relative error counts: its elements, counted as often as a token uses them (`_weight`)."""


@dataclass(frozen=True)
class AllocationProblem:
    """The types to choose from and the budget of an arm. Known before anything is measured."""

    ladders: tuple[Ladder, ...]
    budget_bytes: int
    """Total budget of the tensors that have ladders."""
    base_bytes: int
    """Bytes that these tensors take if only the method decides."""
    file_bytes: int
    """Size of a file that spends the whole budget."""
    smallest_file_bytes: int
    n_elements: int
    """Number of weights of the whole model."""

    @property
    def fits(self) -> bool:
        """True if at least the smallest types fit into the budget."""
        return self.budget_bytes >= sum(ladder.n_bytes[0] for ladder in self.ladders)


def families(method: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the types of a method's family: for rows of whole blocks of 256, and for other rows.

    ============  =========================  =============================================================
    method        types                      reason
    ============  =========================  =============================================================
    q4_0, q5_1..  blocks of 32 only          users of these want simple kernels that exist everywhere
    iq...         i-quants, then q5_k up     there is no i-quant above 4.25 bits
    all others    k-quants                   the family of llama.cpp's own mixes, supported by all backends
    ============  =========================  =============================================================

    Rows that are not a multiple of 256 use blocks of 32, like llama.cpp's own fallbacks. The largest type is always
    16 bits (bf16 if the source has it). The type that the method itself gives a tensor is always in its ladder.
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
    """Build the ladder of each adjustable tensor, and compute the bytes that can be spent on them.

    Types that the recipe itself sets for a tensor do not change.

    Args:
        plan: what llama.cpp makes of the recipe without a budget.
        header: header of the model to quantize.
        covered: tensors for which the importance matrix has data.
    """
    shapes = {tensor.name: tensor.shape for tensor in header.tensors}
    ordered = requested_types(list(shapes), overrides)
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
            # If two types have the same size, the first one stays: the method's own.
            sizes.setdefault(_padded(kinds[name].n_bytes(_n_elements(shape))), name)
    base_bytes = _padded(kinds[tensor.type].n_bytes(_n_elements(shape)))
    n_bytes = tuple(size for size in sorted(sizes) if size >= base_bytes or not upward)
    types = tuple(sizes[size] for size in n_bytes)
    return Ladder(tensor.name, types, n_bytes, types.index(tensor.type), _weight(tensor.name, shapes, expert_share))


def _weight(name: str, shapes: Mapping[str, tuple[int, ...]], expert_share: float) -> float:
    """Return the number of elements, times the uses that a token makes of their output.

    If there are more query heads than key-value heads, keys and values serve several query heads each. A token uses
    only some of the experts. The token embedding counts `LOOKUP_USE`, plus its use as output if it is tied.
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
"""Relative errors by tensor name and type (upper case)."""


@dataclass(frozen=True)
class Allocation:
    """A type for each tensor, and the predicted error."""

    types: tuple[str, ...]
    """One type per ladder, in the same order."""
    n_bytes: int
    objective: float
    bound: float
    """Lower bound on the objective of any types within the budget."""


def allocate(problem: AllocationProblem, errors: RelativeErrors) -> Allocation:
    """Return the types with the smallest objective within the budget.

    Raises:
        ValueError: even the smallest types do not fit.
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
    """Return the types of the control arm: the same bytes, but the tensors take one step each in random order."""
    table = [[Option(n_bytes, 0.0) for n_bytes in ladder.n_bytes] for ladder in problem.ladders]
    start = [ladder.base for ladder in problem.ladders]
    rng = np.random.default_rng(CONTROL_SEED)
    return _picked_types(problem, spread(table, start, problem.budget_bytes, rng))


def _picked_types(problem: AllocationProblem, picked: Sequence[int]) -> tuple[str, ...]:
    return tuple(ladder.types[index] for ladder, index in zip(problem.ladders, picked, strict=True))


def objective(problem: AllocationProblem, types: Sequence[str], errors: RelativeErrors) -> float:
    """Return the objective for any choice of types of the tensors that have ladders."""
    total = sum(ladder.weight for ladder in problem.ladders)
    parts = (ladder.weight * errors[ladder.name][kind] for ladder, kind in zip(problem.ladders, types, strict=True))
    return float(sum(parts) / total) if total else 0.0


def as_overrides(problem: AllocationProblem, types: Sequence[str], overrides: TypeOverrides) -> TypeOverrides:
    """Return the recipe's own overrides, followed by one for every tensor that has a ladder.

    Every tensor gets one, although most keep the method's type. Otherwise llama.cpp would choose differently: it counts
    the tensors of a kind whose type it chooses itself, and its choice depends on that count.
    """
    exact = tuple(
        (exact_pattern(ladder.name), kind.lower()) for ladder, kind in zip(problem.ladders, types, strict=True)
    )
    return TypeOverrides(overrides.output, overrides.embedding, (*overrides.tensors, *exact))
