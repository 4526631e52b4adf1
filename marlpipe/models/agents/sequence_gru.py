"""torch.nn.GRU with passes of its own over packed sequences on a CPU, which are bound by their matrix products.

    r = σ(W_r x + U_r h + b_r),  z = σ(W_z x + U_z h + b_z),  m = U_n h + b_m,  n = tanh(W_n x + b_n + r m)
    h′ = n + z (h − n)

and backwards, with δ = ∂L/∂h′ and the derivatives σ′ = σ(1 − σ), tanh′ = 1 − tanh²:

    δn = δ (1 − z) tanh′,  δm = δn r,  δr = δn m σ′,  δz = δ (h − n) σ′,  ∂L/∂h = δ z + Uᵀ(δr, δz, δm)

A whole time step is computed while it is in the core's cache: automatic differentiation passes over all steps once per
operation, and puts each result into memory of its own.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.utils.rnn import PackedSequence

PASSAGE_ROWS = 1024  # what is worth a matrix product and still fits into a core's cache
sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
tanh_backward = torch.ops.aten.tanh_backward.grad_input


class SequenceGRU(nn.GRU):
    """One layer. What is packed, on a CPU and as precise as the weights takes this file's passes, all else torch's."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)

    def forward(self, input: Any, hx: Tensor | None = None) -> tuple[Any, Tensor]:
        """As torch.nn.GRU's: (outputs, the memory after each sequence's last time step)."""
        w, u, b_x, b_h = self.all_weights[0]
        if not isinstance(input, PackedSequence) or not input.data.is_cpu or input.data.dtype != w.dtype:
            outputs: tuple[Any, Tensor] = super().forward(input, hx)
            return outputs
        data, batch_sizes, sorted_indices, unsorted_indices = input
        counts = batch_sizes.tolist()
        zeros = data.new_zeros(1, counts[0], self.hidden_size)
        start = zeros if hx is None else self.permute_hidden(hx, sorted_indices)
        memory = GatedPass.apply(data, start[0], w, u, b_x, b_h, counts)  # type: ignore[no-untyped-call]
        last = (batch_sizes.unsqueeze(1) > torch.arange(counts[0])).sum(0) - 1  # time step of each sequence
        ends = memory[(batch_sizes.cumsum(0) - batch_sizes)[last] + torch.arange(counts[0])]
        packed = PackedSequence(memory, batch_sizes, sorted_indices, unsorted_indices)
        return packed, self.permute_hidden(ends.unsqueeze(0), unsorted_indices)


class GatedPass(torch.autograd.Function):
    """The memory after each time step, and its gradients. Rows hold n, r, z, m side by side, H units each."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Float[Tensor, "V I"],
        start: Float[Tensor, "B H"],
        w: Float[Tensor, "3*H I"],
        u: Float[Tensor, "3*H H"],
        b_x: Float[Tensor, " 3*H"],
        b_h: Float[Tensor, " 3*H"],
        counts: Sequence[int],
    ) -> Float[Tensor, "V H"]:
        units, remembered = u.shape[1], any(ctx.needs_input_grad)
        gates = x.new_empty(len(x) if remembered else max(PASSAGE_ROWS, counts[0]), 4 * units)
        memory = x.new_empty(len(x), units)
        of_input, of_memory, of_proposal = w.roll(units, 0).T, u[: 2 * units].T, u[2 * units :].T
        bias = torch.cat([b_x[2 * units :], b_x[: 2 * units] + b_h[: 2 * units]])
        minus_one, h, outputs = x.new_tensor(-1.0), start, iter(memory.split_with_sizes(counts))
        for passage, lengths in passages(counts):
            rows = gates[passage] if remembered else gates[: sum(lengths)]
            torch.addmm(bias, x[passage], of_input, out=rows[:, : 3 * units])
            for of_moment in rows.split_with_sizes(lengths):
                h = h[: len(of_moment)]
                n, r, z, m = of_moment.chunk(4, dim=1)
                of_moment[:, units : 3 * units].addmm_(h, of_memory).sigmoid_()
                torch.addmm(b_h[2 * units :], h, of_proposal, out=m)
                n.addcmul_(r, m).mul_(2).sigmoid_()
                torch.add(minus_one, n, alpha=2, out=n)  # tanh a = 2 σ(2a) − 1, and σ is several times as fast
                h = torch.lerp(n, h, z, out=next(outputs))
        if remembered:
            ctx.save_for_backward(x, start, w, u, gates, memory)
            ctx.counts = counts
        return memory

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Float[Tensor, "V H"]) -> tuple[Tensor | None, ...]:
        x, start, w, u, gates, memory = ctx.saved_tensors
        units, of_input = u.shape[1], w.roll(u.shape[1], 0)
        dx, dw, du, db = torch.empty_like(x), torch.zeros_like(w), torch.zeros_like(u), u.new_zeros(4 * units)
        dgates = u.new_empty(max(PASSAGE_ROWS, len(start)), 4 * units)
        carried, kept, spare = torch.zeros_like(start), torch.zeros_like(start), torch.empty_like(start)
        befores = [start, *memory.split_with_sizes(ctx.counts)[:-1]]
        for passage, lengths in reversed(list(passages(ctx.counts))):
            rows = dgates[: sum(lengths)]
            parts = zip(
                *(part.split_with_sizes(lengths) for part in (rows, gates[passage], grad[passage])), strict=True
            )
            for d, of_moment, dmemory in reversed(list(parts)):
                n, r, z, m = of_moment.chunk(4, dim=1)
                dn, dr, dz, dm = d.chunk(4, dim=1)
                count, of_memory = len(d), d[:, units:]
                h, dh, through, product = befores.pop()[:count], carried[:count], kept[:count], spare[:count]
                torch.mul(dh.add_(dmemory), z, out=through)
                sigmoid_backward(torch.sub(h, n, out=product).mul_(dh), z, grad_input=dz)
                tanh_backward(dh.sub_(through), n, grad_input=dn)
                torch.mul(dn, r, out=dm)
                sigmoid_backward(torch.mul(dn, m, out=product), r, grad_input=dr)
                du.addmm_(of_memory.T, h)
                through.addmm_(of_memory, u)
                carried, kept = kept, carried
            torch.mm(rows[:, : 3 * units], of_input, out=dx[passage])
            dw.addmm_(rows[:, : 3 * units].T, x[passage])
            db += rows.sum(0)
        return dx, carried, dw.roll(-units, 0), du, db[: 3 * units].roll(-units), db[units:], None


def passages(counts: Sequence[int]) -> Iterator[tuple[slice, Sequence[int]]]:
    """Consecutive time steps of at most 1024 rows in all, or one that has more: their rows, and how many each has."""
    start, stop, lengths = 0, 0, list[int]()
    for count in counts:
        if lengths and stop + count - start > PASSAGE_ROWS:
            yield slice(start, stop), lengths
            start, lengths = stop, []
        stop += count
        lengths.append(count)
    yield slice(start, stop), lengths
