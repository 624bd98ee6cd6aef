"""Apply the byte budget of an arm: measure, allocate, and describe the result for the manifest.

Combines `measurement`, `allocation` and `protection` for `quantize`, which makes and verifies the file.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from actors.llama.file_types import resolve_type
from actors.llama.gguf_file import GgufHeader
from actors.llama.overrides import TypeOverrides
from actors.llama.quantizer import ImatrixData, QuantizePlan, ReportSteps
from actors.quantization.measurement import MeasuredErrors, measure_errors
from actors.quantization.protection import (
    CONTROL_SEED,
    Allocation,
    AllocationProblem,
    allocate,
    allocate_control,
    as_overrides,
    make_problem,
    objective,
)
from actors.quantization_orders import QuantizeOrder
from actors.recipes import ByteBudget
from conf.faults import BadInput, Fault

JsonRows = tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class BudgetUse:
    """How the budget of an arm was used. Bits per weight count all weights of the model."""

    name: str
    """`phigh`, `tbpw4.5`; empty if the recipe's own name implies the budget."""
    control: bool
    budget_bytes: int
    """Total bytes that the adjustable tensors may take."""
    spent_bytes: int
    base_bytes: int
    """Bytes that the adjustable tensors take if only the method decides."""
    added_bpw: float
    """Difference from the method alone, in bits per weight. Negative if less was spent."""
    tensors: int
    """Number of adjustable tensors."""
    raised: int
    lowered: int
    predicted_error: float | None
    """Value of the objective. None for a control arm, whose bytes are spent without measuring."""
    predicted_error_base: float | None
    """Value of the objective for the method alone."""
    predicted_error_control: float | None
    """Value of the objective for the control arm, even if that arm is not made."""
    bound: float | None
    """Lower bound on the objective of any types within the budget."""
    control_seed: int
    measuring_seconds: float | None
    """0 if everything had been measured for another arm already."""


@dataclass(frozen=True)
class BudgetResult:
    """The types chosen for the tensors of an arm under its budget."""

    overrides: TypeOverrides
    """The recipe's own overrides, and one for each adjustable tensor."""
    use: BudgetUse
    rows: JsonRows
    """One row per tensor: its type, the type that the method gives it, and its relative error for each type."""


def apply_budget(
    order: QuantizeOrder,
    budget: ByteBudget,
    plan: QuantizePlan,
    header: GgufHeader,
    imatrix: ImatrixData | None,
    report: ReportSteps,
) -> BudgetResult:
    """Choose a type for each tensor.

    Args:
        plan: what llama.cpp makes of the recipe without the budget.
        report: called after each tensor that was measured.

    Raises:
        BadInput: the target is below what the smallest types need.
    """
    problem = _allocation_problem(order, budget, plan, header, imatrix)
    control = allocate_control(problem)
    if budget.control:
        use = _budget_use(budget, problem, control, None, None, None)
        return BudgetResult(as_overrides(problem, control, order.recipe.overrides), use, _rows(problem, control, None))
    measured = measure_errors(
        header.parts,
        header.tensors,
        problem.ladders,
        imatrix,
        threads=order.threads,
        kept_at=order.measured_path,
        report=report,
    )
    allocation = allocate(problem, measured.relative())
    use = _budget_use(budget, problem, allocation.types, allocation, measured, control)
    overrides = as_overrides(problem, allocation.types, order.recipe.overrides)
    return BudgetResult(overrides, use, _rows(problem, allocation.types, measured))


def _allocation_problem(
    order: QuantizeOrder, budget: ByteBudget, plan: QuantizePlan, header: GgufHeader, imatrix: ImatrixData | None
) -> AllocationProblem:
    """Return the allocation problem of an order. Raise `BadInput` if nothing fits."""
    recipe = order.recipe
    known = frozenset(imatrix.importance) if imatrix is not None else frozenset[str]()
    problem = make_problem(plan, resolve_type(recipe.method), recipe.overrides, budget, header, known)
    check_fits(problem, budget)
    return problem


def check_fits(problem: AllocationProblem, budget: ByteBudget) -> None:
    """Raise `BadInput` if the target is too small. The message names the smallest possible target."""
    if problem.fits:
        return
    size = problem.smallest_file_bytes
    if budget.target_bpw is not None:
        least = budget.target_bpw + 8 * (_smallest_bytes(problem) - problem.budget_bytes) / problem.n_elements
        fault = Fault("--target-bpw", budget.target_bpw, f"at least {least + 0.0005:.3f} for this model and method")
    else:
        # Rounded up by one hundredth of a MiB, so that the size named in the message fits.
        allowed = f"at least {size / 2**20 + 0.01:.2f}MiB for this model and method"
        fault = Fault("--target-size", f"{(budget.target_bytes or 0) / 2**20:.2f}MiB", allowed)
    step = "Raise the target, or use a smaller method: it may have smaller types."
    raise BadInput(Fault(fault.key, fault.got, fault.allowed, step))


def _smallest_bytes(problem: AllocationProblem) -> int:
    return sum(ladder.n_bytes[0] for ladder in problem.ladders)


def _budget_use(
    budget: ByteBudget,
    problem: AllocationProblem,
    types: tuple[str, ...],
    allocation: Allocation | None,
    measured: MeasuredErrors | None,
    control: tuple[str, ...] | None,
) -> BudgetUse:
    places = [ladder.types.index(kind) for ladder, kind in zip(problem.ladders, types, strict=True)]
    moves = [place - ladder.base for ladder, place in zip(problem.ladders, places, strict=True)]
    spent = sum(ladder.n_bytes[place] for ladder, place in zip(problem.ladders, places, strict=True))
    base = tuple(ladder.types[ladder.base] for ladder in problem.ladders)
    errors = measured.relative() if measured else None
    return BudgetUse(
        name=budget.name,
        control=budget.control,
        budget_bytes=problem.budget_bytes,
        spent_bytes=spent,
        base_bytes=problem.base_bytes,
        added_bpw=8 * (spent - problem.base_bytes) / problem.n_elements,
        tensors=len(types),
        raised=sum(move > 0 for move in moves),
        lowered=sum(move < 0 for move in moves),
        predicted_error=allocation.objective if allocation else None,
        predicted_error_base=objective(problem, base, errors) if errors is not None else None,
        predicted_error_control=objective(problem, control, errors) if errors is not None and control else None,
        bound=allocation.bound if allocation else None,
        control_seed=CONTROL_SEED,
        measuring_seconds=measured.seconds if measured else None,
    )


def _rows(problem: AllocationProblem, types: tuple[str, ...], measured: MeasuredErrors | None) -> JsonRows:
    rows = []
    for ladder, kind in zip(problem.ladders, types, strict=True):
        row: dict[str, Any] = {
            "tensor": ladder.name,
            "type": kind.lower(),
            "method_type": ladder.types[ladder.base].lower(),
        }
        if measured is not None:
            found = measured.tensors[ladder.name]
            row["errors"] = {one.lower(): found.relative(one) for one in ladder.types}
            row |= {"rows": found.rows, "rows_measured": found.rows_measured}
        rows.append(row)
    return tuple(rows)


def allocation_json(result: BudgetResult) -> dict[str, Any]:
    """Return the content of `allocation.json`, the file beside the manifest."""
    return {"budget": asdict(result.use), "tensors": list(result.rows)}
