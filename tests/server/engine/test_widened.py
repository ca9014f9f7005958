"""Weights of 16 bits multiplied in float32."""

import pytest
import torch
import torch.nn.functional as F

from tailora.engine.widened import widened_linear


@pytest.mark.parametrize("outputs", [8, 1024, 1025, 3000])
def test_all_outputs_are_computed(outputs: int) -> None:
    generator = torch.Generator().manual_seed(1)
    x, weight = (torch.randn((count, 64), generator=generator) for count in (20, outputs))
    weight = weight.to(torch.bfloat16)
    found = widened_linear(x, weight)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), F.linear(x, weight.float()), rtol=0.01, atol=0.01)
