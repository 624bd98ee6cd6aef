"""What `jobs.collect_imatrix` was asked for, where it is collected, and what follows if there is no memory for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from actors.errors import NoRoomError
from actors.keys import imatrix_key
from actors.llama.gguf_file import GgufHeader
from actors.llama.shape import shape_of
from actors.nodes import NodeFacts
from actors.orchestrator.memory_limits import smaller_share
from actors.orchestrator.placement.choose import groups_of, limited
from actors.orchestrator.placement.single import place_collecting
from actors.orchestrator.planning.arms import weighted_mix
from actors.orchestrator.sources.hashes import gguf_sha256
from actors.orchestrator.sources.inputs import SourceImatrix
from actors.orders import ReportTokens
from actors.quantization.decoder import check_room
from actors.quantization.imatrix import ImatrixManifest
from actors.quantization.shards import collect_in_processes
from actors.quantization_orders import GROUP_CHUNKS, ImatrixOrder
from conf.faults import BadInput, Fault
from conf.schema.protection import TokenWeights
from jobs._terminal import complain, say
from reporting.escape import hanging


@dataclass(frozen=True)
class Collecting:
    """What the command line asks for, read and checked."""

    header: GgufHeader
    source: SourceImatrix
    token_weights: TokenWeights | None
    output: Path
    dataset_size: int
    ctx: int
    threads: int
    shards: int
    node: NodeFacts
    """This machine."""

    def order(self, share: float = 1.0) -> ImatrixOrder:
        """Return the order, placed where the pipeline would place it on this machine.

        Args:
            share: the share of each device's memory that may be filled.

        Raises:
            BadInput: there is too little memory, or there are more processes than can share the work.
        """
        gpu_layers, devices = 0, None
        shape = shape_of(self.header)
        groups = limited(groups_of((self.node,)), share)
        placed = place_collecting(groups, shape, shape.weights, ctx=self.ctx, threads=self.threads)
        if placed is not None and placed.devices is not None:
            gpu_layers, devices = placed.gpu_layers, placed.devices
            some = "" if gpu_layers < 0 else f", {gpu_layers} of {len(shape.weights.layer_bytes) + 1} layers"
            say(f"on {devices.count} x {devices.kind}{some}")
            if self.shards > 1:
                step = "One process keeps the devices busy, and each further one would load the model again."
                raise BadInput(Fault("--shards", self.shards, f"1 on {devices.kind}", step))
        elif self.node.devices:
            say("on the CPU, because the devices hold no layer")
        check_room(self.header, self.ctx, gpu_layers)
        source = self.source
        order = ImatrixOrder(
            model_path=str(self.header.path),
            mix=source.name if self.token_weights is None else weighted_mix(source.name),
            texts=source.texts,
            dataset_size=source.tokens(self.dataset_size),
            ctx=self.ctx,
            threads=self.threads,
            gpu_layers=gpu_layers,
            devices=devices,
            output_path=str(self.output),
            key=imatrix_key(
                model=gguf_sha256(self.header),
                texts=source.texts,
                rules=source.rules,
                dataset_size=source.tokens(self.dataset_size),
                ctx=self.ctx,
                threads=self.threads,
                gpu_layers=gpu_layers,
                devices=devices,
                token_weights=self.token_weights,
                build=self.node.build,
            ),
            rules=source.rules,
            token_weights=self.token_weights,
        )
        n_groups = max(1, len(order.group_tokens))
        if self.shards > n_groups:
            allowed = f"at most {n_groups}, the number of groups of {GROUP_CHUNKS} chunks in --dataset-size"
            raise BadInput(Fault("--shards", self.shards, allowed))
        return order


def collect_where_it_fits(collecting: Collecting, order: ImatrixOrder, report: ReportTokens) -> ImatrixManifest:
    """Collect a matrix. If devices have no memory for it, go on with fewer layers there, or on more of them.

    Args:
        collecting: what was asked for.
        order: its order.
        report: called with the number of tokens that were done since the last call.

    Raises:
        BadInput: see `collect_in_processes`.
        LlamaError: see `collect_in_processes`. `NoRoomError`: no smaller plan has room either.
    """
    share: float | None = 1.0
    while True:
        try:
            return collect_in_processes(order, collecting.shards, report)
        except NoRoomError as error:
            share, smaller = _smaller_order(collecting, order, share)
            if smaller is None:
                raise
            complain(f"goes on with less on devices: {hanging(error.message)}")
            order = smaller


def _smaller_order(
    collecting: Collecting, order: ImatrixOrder, share: float | None
) -> tuple[float | None, ImatrixOrder | None]:
    """Return the next share of the devices' memory with which a model lies elsewhere, and its order; None: no share."""
    while order.devices is not None and share is not None and (share := smaller_share(share)) is not None:
        try:
            smaller = collecting.order(share)
        except BadInput:  # the host has no memory for the layers that would lie there
            return None, None
        if (smaller.gpu_layers, smaller.devices) != (order.gpu_layers, order.devices):
            return share, smaller
    return None, None
