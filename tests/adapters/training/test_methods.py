"""A training run with every method: gated, stored, and gone on from where that is possible."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tailora_adapters.base.load import Loaded, load_model
from tailora_adapters.errors import ModelError
from tailora_adapters.methods import METHODS, Method
from tailora_adapters.methods.allocation import allocation_of
from tailora_adapters.methods.attached import put_on
from tailora_adapters.store import Store
from tailora_adapters.training import adapters
from tailora_adapters.training.run import RunSettings, judge, run
from tailora_adapters.training.split import SplitDecoder

SERVED = [method for method in METHODS.values() if method.served]
SMALL: dict[str, dict[str, Any]] = {
    "adalora": {"initial_rank": 6, "target_rank": 3},
    "houlsby": {"width": 8},
    "pfeiffer": {"width": 8},
    "p-tuning": {"encoder_width": 32},
    "vera": {"rank": 16},
}

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:Merge.*:UserWarning"),
]


@pytest.fixture(params=SERVED, ids=lambda one: one.name)
def method(request: pytest.FixtureRequest) -> Method:
    found: Method = request.param
    return found


@pytest.fixture
def settings(method: Method, run_settings: RunSettings) -> RunSettings:
    return replace(
        run_settings,
        method=method.name,
        shape=replace(method.defaults, **SMALL.get(method.name, {})),
        train=replace(run_settings.train, learning_rate=method.learning_rate * 5, max_steps=20),
    )


def test_a_run(method: Method, settings: RunSettings, repository: Path, store: Store, tiny: Any) -> None:
    outcome = run(repository, tiny.name, settings=settings, store=store)
    assert outcome.decision in ("promoted", "rejected"), outcome.reason
    assert outcome.version == "1"
    assert outcome.gate is not None
    assert outcome.gate.figures["candidate_nll"] < outcome.gate.figures["base_nll"], outcome.reason
    version = store.project(repository).get("1")
    assert version.manifest is not None
    assert version.manifest.method == method.name
    assert version.manifest.settings["method"]["name"] == method.name
    judged = judge(repository, tiny.name, "1", settings=settings, store=store)
    assert judged.gate is not None
    assert judged.gate.figures["candidate_nll"] == pytest.approx(
        outcome.gate.figures["candidate_nll"], rel=1e-3
    )


def test_ranks_are_pruned_to_what_was_asked_for(make_model: Any) -> None:
    method = METHODS["adalora"]
    shape = replace(method.defaults, initial_rank=6, target_rank=2, interval=2)
    adapter = put_on(make_model("qwen2").float(), method, shape, range(4))
    allocation = allocation_of(adapter, shape)
    assert allocation is not None
    factors = [name for name in adapter.parameters() if ".lora_E." in name]
    with torch.no_grad():
        for name in factors:
            adapter.parameters()[name].normal_(generator=torch.Generator().manual_seed(len(name)))
    left = []
    for step in range(20):
        for parameter in adapter.parameters().values():
            parameter.grad = torch.ones_like(parameter)
        allocation.after_step(step / 20)
        left.append(sum(int((adapter.parameters()[name] != 0).sum()) for name in factors))
    assert left[0] == 6 * len(factors)
    assert left == sorted(left, reverse=True)
    assert 0 < left[-1] <= 2 * len(factors)
    assert float(allocation.penalty().detach()) > 0


def test_nothing_is_pruned_where_as_many_ranks_are_asked_for(make_model: Any) -> None:
    method = METHODS["adalora"]
    shape = replace(method.defaults, initial_rank=4, target_rank=4)
    adapter = put_on(make_model("qwen2").float(), method, shape, range(4))
    allocation = allocation_of(adapter, shape)
    assert allocation is not None
    factor = next(parameter for name, parameter in adapter.parameters().items() if ".lora_E." in name)
    torch.nn.init.ones_(factor)
    for parameter in adapter.parameters().values():
        parameter.grad = torch.ones_like(parameter)
    allocation.after_step(0.9)
    allocation.finish()
    assert bool((factor == 1).all())


@pytest.mark.parametrize("name", [method.name for method in SERVED])
def test_on_a_gpu_the_base_is_in_four_bits_where_the_method_allows_it(
    name: str, tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same path on the CPU: only where the model is put differs."""
    method, asked = METHODS[name], []

    def on_the_cpu(model: str, *, quantization: Any, device: str) -> Loaded:
        asked.append((quantization, device))
        loaded = load_model(model, quantization=quantization)
        for module in loaded.model.modules():  # no gradients of the order that it has for CPUs with bf16
            if hasattr(module, "support_avx512bf16_for_cpu"):
                module.support_avx512bf16_for_cpu = False
        return loaded

    monkeypatch.setattr(adapters, "default_device", lambda: "cuda")
    monkeypatch.setattr(adapters, "load_model", on_the_cpu)
    try:
        session = adapters.Session(tiny.name, None, method=method, lower_share=0.5, seed=1)
    except ModelError as error:
        pytest.skip(f"bitsandbytes refuses this processor: {error}")
    assert asked == [("none" if name == "vera" else "nf4", "cuda")]
    session.model.train()
    decoder = SplitDecoder(session.model, session.first_layer)
    hidden = decoder.upper(decoder.lower(torch.arange(40), [40]), [40])
    assert hidden.isfinite().all()
    hidden.float().square().sum().backward()
    assert any(parameter.grad is not None for parameter in session.model.parameters().values())


def test_on_a_cpu_the_values_of_four_bits_are_held_dense(tiny: Any) -> None:
    from peft.utils.integrations import dequantize_module_weight

    try:
        four = load_model(tiny.name, quantization="nf4").model.get_submodule("model.layers.1.mlp.up_proj")
    except ModelError as error:
        pytest.skip(f"bitsandbytes refuses this processor: {error}")
    dense = adapters.load_for_training(tiny.name, METHODS["qlora"]).model
    found = dense.get_submodule("model.layers.1.mlp.up_proj")
    assert type(found) is torch.nn.Linear
    assert not found.weight.requires_grad
    assert torch.equal(found.weight, dequantize_module_weight(four).to(found.weight.dtype))
    whole = load_model(tiny.name).model.get_submodule("model.layers.1.mlp.up_proj").weight
    assert not torch.equal(found.weight, whole)
