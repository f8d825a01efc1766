"""The GRU is PyTorch's: states, gradients, every shape."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench_evs.models import gru


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 9),
    st.integers(1, 12),
    st.integers(1, 20),
    st.integers(0, 1000),
    st.sampled_from([1, 40, gru._CACHED]),  # one step ahead, some, all
)
def test_states_and_gradients_are_pytorchs(batch, length, width, seed, cached):
    torch.manual_seed(seed)
    module = gru.GRU(width).double()
    x = torch.randn(batch, length, width, dtype=torch.float64)
    into = torch.randn(batch, length, width, dtype=torch.float64)
    answers = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gru, "_CACHED", cached)
        for states in (lambda x: module(x, None), lambda x: module.gru(x)[0]):
            x = x.detach().requires_grad_()
            module.zero_grad()
            y = states(x)
            y.backward(into)
            answers.append([y.detach(), x.grad, *(p.grad for p in module.parameters())])
    for ours, theirs in zip(*answers, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-10, rtol=1e-8)


def test_it_reads_transposed_and_expanded_inputs():
    torch.manual_seed(0)
    module = gru.GRU(6)
    x = torch.randn(5, 4, 6)
    for view in (x.transpose(0, 1), x[:1].expand(3, -1, -1), torch.randn(5, 4, 9)[..., 3:]):
        assert torch.allclose(module(view, None), module.gru(view)[0], atol=1e-6)


def test_nothing_is_kept_where_no_gradient_is_asked_for():
    module = gru.GRU(3)
    with torch.inference_mode():
        assert module(torch.randn(2, 4, 3), None).grad_fn is None
    assert module(torch.randn(2, 4, 3), None).grad_fn is not None


def test_half_precision_is_pytorchs():
    module = gru.GRU(8)
    x = torch.randn(3, 5, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(module(x, None), module.gru(x)[0])
