"""All states of a GRU: on a CPU, training takes up to half as long as PyTorch's where batches and widths are small."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from nasbench_evs.models.layers import recurrent_states

_CACHED = 2**17  # numbers: what is computed ahead of the steps that use it should still be in the cache then


class GRU(nn.Module):
    """All states of a one-layer GRU as wide as its input.

    Elsewhere than on a CPU, under autocast, and for a single sequence, PyTorch's own; on a GPU in float32 always.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gru = nn.GRU(width, width, batch_first=True)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(B, L, width) to (B, L, width); causal, so that what `mask` hides changes no state before it."""
        if x.device.type != "cpu" or torch.is_autocast_enabled("cpu") or len(x) == 1:
            return recurrent_states(self.gru, x)
        gru = self.gru
        return _States.apply(x, gru.weight_ih_l0, gru.weight_hh_l0, gru.bias_ih_l0, gru.bias_hh_l0)


class _States(torch.autograd.Function):
    """The states of nn.GRU from its weights; h' = n + z (h - n), n = tanh(W x + b + r q), q = V h + c.

    A step's arrays are (features, B): with few features and many sequences, rows are then long enough for vector units.
    Gates are in the order n, r, z, so that what comes from the input (n, r, z) and what comes from the state (r, z, q)
    are each one block of n, r, z, q. Forward, a step is six operations in place; backward, four: every
    derivative but the state's own is computed for many steps at once, before them.
    """

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, w_in: torch.Tensor, w_state: torch.Tensor, b_in: torch.Tensor, b_state: torch.Tensor
    ) -> torch.Tensor:
        width = w_state.shape[1]
        x = x.permute(1, 2, 0).contiguous()  # (L, inputs, B)
        length, _, batch = x.shape
        bias = b_in + torch.cat([b_state[: 2 * width], torch.zeros_like(b_state[2 * width :])])
        w_in = _n_first(w_in, width)
        gates = torch.baddbmm(_n_first(bias, width)[:, None], w_in.expand(length, -1, -1), x)  # (L, 3 width, B)
        states = x.new_zeros(length + 1, width, batch)
        q = x.new_empty(length, width, batch)
        of_rz, of_n, constant = w_state[: 2 * width], w_state[2 * width :], b_state[2 * width :, None]
        for before, after, gate, part in zip(
            states[:-1].unbind(), states[1:].unbind(), gates.unbind(), q.unbind(), strict=True
        ):
            n, rz = gate[:width], gate[width:]
            rz.addmm_(of_rz, before).sigmoid_()
            torch.addmm(constant, of_n, before, out=part)
            n.addcmul_(rz[:width], part).tanh_()
            torch.lerp(n, before, rz[width:], out=after)
        ctx.save_for_backward(x, w_in, w_state, states, gates, q)
        return states[1:].permute(2, 0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x, w_in, w_state, states, gates, q = ctx.saved_tensors
        length, width, batch = q.shape
        grad = grad.permute(1, 2, 0).contiguous()
        n, r, z = gates.view(length, 3, width, batch).unbind(1)
        delta = x.new_empty(length, 4, width, batch)  # of n, r, z, q: derivatives of the state first, then of the loss
        of_n, of_r, of_z, of_q = delta.unbind(1)
        flat = delta.view(length, 4 * width, batch)
        d_in, d_state, back = torch.zeros_like(w_in), torch.zeros_like(w_state), w_state.t()
        d_h = torch.zeros_like(grad[0])
        ahead = max(1, _CACHED // max(1, q[0].numel()))
        for end in range(length, 0, -ahead):
            steps = slice(max(0, end - ahead), end)
            new = 1 - z[steps]
            torch.addcmul(new, new * n[steps], n[steps], value=-1, out=of_n[steps])
            torch.mul(of_n[steps], r[steps], out=of_q[steps])
            by_r = of_q[steps] * q[steps]
            torch.addcmul(by_r, by_r, r[steps], value=-1, out=of_r[steps])
            torch.mul((states[:-1][steps] - n[steps]).mul_(z[steps]), new, out=of_z[steps])
            for t in reversed(range(steps.start, steps.stop)):
                d_h += grad[t]
                delta[t].mul_(d_h)
                d_h.mul_(z[t]).addmm_(back, flat[t, width:])
                d_state.addmm_(flat[t, width:], states[t].t())
                d_in.addmm_(flat[t, : 3 * width], x[t].t())
        biases = flat.sum(dim=(0, 2))
        d_x = torch.matmul(w_in.t(), flat[:, : 3 * width]).permute(2, 0, 1)
        return d_x, _n_last(d_in, width), d_state, _n_last(biases[: 3 * width], width), biases[width:]


def _n_first(gates: torch.Tensor, width: int) -> torch.Tensor:
    """From PyTorch's order r, z, n to n, r, z."""
    return torch.cat([gates[2 * width :], gates[: 2 * width]])


def _n_last(gates: torch.Tensor, width: int) -> torch.Tensor:
    return torch.cat([gates[width:], gates[:width]])
