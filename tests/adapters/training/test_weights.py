"""The norm is that of the update, whatever type the weights have; what is no number or far off is refused."""

import json
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tailora_adapters import foundation
from tailora_adapters.errors import AdapterCorrupt
from tailora_adapters.training.weights import check_weights, update_norm


def write(folder: Path, arrays: dict[str, Any], dtype: str = "F32", **config: Any) -> Path:
    """An adapter in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    header, data = {}, b""
    for name, array in arrays.items():
        raw = np.asarray(array, "<f4")
        if dtype == "BF16":
            part = (raw.view("<u4") >> 16).astype("<u2").tobytes()
        else:
            part = raw.astype("<f2" if dtype == "F16" else "<f4").tobytes()
        header[name] = {
            "dtype": dtype,
            "shape": list(raw.shape),
            "data_offsets": [len(data), len(data) + len(part)],
        }
        data += part
    text = json.dumps(header).encode()
    (folder / "adapter_model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    (folder / "adapter_config.json").write_text(json.dumps({"r": 2, "lora_alpha": 4} | config))
    return folder


def pair(a: Any, b: Any) -> dict[str, Any]:
    return {"x.lora_A.weight": a, "x.lora_B.weight": b}


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
@pytest.mark.parametrize("stabilized", [False, True])
def test_norm(tmp_path: Path, dtype: str, stabilized: bool) -> None:
    a, b = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]]), np.array([[1.0, 2.0], [0.25, -1.0]])
    folder = write(tmp_path / "x", pair(a, b), dtype, use_rslora=stabilized)
    scale = 4 / math.sqrt(2) if stabilized else 2.0
    assert update_norm(folder) == pytest.approx(scale * float(np.linalg.norm(b @ a)), rel=1e-6)


def test_agrees_with_the_trained_adapter(make_lora: Callable[..., Path]) -> None:
    import torch
    from safetensors.torch import load_file

    folder = make_lora(5)
    state = load_file(folder / "adapter_model.safetensors")
    total = sum(
        float(torch.linalg.norm(state[name.replace("_A", "_B")].double() @ a.double())) ** 2
        for name, a in state.items()
        if "lora_A" in name
    )
    assert update_norm(folder) == pytest.approx(2 * math.sqrt(total), rel=1e-6)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("dtype", ["F32", "BF16"])
def test_not_numbers(tmp_path: Path, value: float, dtype: str) -> None:
    for arrays in (pair([[value, 0.0]], [[0.0]]), pair([[0.0, 0.0]], [[value]])):
        with pytest.raises(AdapterCorrupt, match="not numbers"):
            update_norm(write(tmp_path / "x", arrays, dtype))


def test_damaged(tmp_path: Path) -> None:
    folder = write(tmp_path / "x", pair([[1.0]], [[1.0]]))
    with pytest.raises(AdapterCorrupt, match="cannot be read"):
        update_norm(tmp_path / "nowhere")
    path = folder / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(AdapterCorrupt, match="cannot be read"):
        update_norm(folder)
    with pytest.raises(AdapterCorrupt, match="cannot be read"):
        update_norm(write(tmp_path / "half", {"x.lora_A.weight": [[1.0]]}))


def test_band(tmp_path: Path) -> None:
    reference = write(tmp_path / "reference", pair([[1.0]], [[1.0]]))
    assert check_weights(reference, reference) == 2.0
    for factor in (0.001, 10.0):
        folder = write(tmp_path / "other", pair([[factor]], [[1.0]]))
        with pytest.raises(AdapterCorrupt, match=rf"{factor:.3g} times .* 0\.02 to 4 times are allowed"):
            check_weights(folder, reference)
        assert check_weights(folder, None) == pytest.approx(2 * factor)
    with pytest.raises(AdapterCorrupt, match="changes nothing"):
        check_weights(write(tmp_path / "zero", pair([[1.0]], [[0.0]])), None)


def test_the_shipped_adapter_is_within_its_own_band() -> None:
    found = foundation.find("qwen2.5-coder-0.5b")
    assert found is not None
    assert check_weights(found.path, found.path) > 0
