"""The catalogue's data, and the model for a machine where nobody chose one."""

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tailora_adapters.base import catalogue
from tailora_adapters.base.catalogue import (
    DEFAULT_CPU,
    DEFAULT_CUDA,
    Shape,
    default_name,
    gpu_memory_mb,
    known,
)


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """``driver(text)``: what nvidia-smi prints; an exception is raised instead."""

    def say(answer: str | Exception) -> None:
        def run(*_: object, **__: object) -> Any:
            if isinstance(answer, Exception):
                raise answer
            return subprocess.CompletedProcess([], 0, stdout=answer)

        gpu_memory_mb.cache_clear()
        monkeypatch.setattr(catalogue.shutil, "which", lambda _name: "/usr/bin/nvidia-smi")
        monkeypatch.setattr(catalogue.subprocess, "run", run)

    yield say
    gpu_memory_mb.cache_clear()


def test_shapes_have_the_parameters_that_the_catalogue_names() -> None:
    for model in known():
        shape = model.shape
        assert shape is not None
        total = (
            shape.layers * shape.layer_weights + shape.head_weights
        )  # the small ones share it with the embedding
        if model.name.endswith("7b"):
            total += shape.head_weights
        assert total / 1e9 == pytest.approx(float(model.parameters.split()[0]), rel=0.02)


def test_shape_of_a_configuration() -> None:
    config = {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "num_hidden_layers": 3,
        "vocab_size": 512,
    }
    shape = Shape.from_config(config)
    assert shape == Shape(64, 128, 4, 2, 16, 3, 512)
    assert Shape.from_config(config | {"head_dim": 32}).head_width == 32
    assert shape.matrices == {"qkv": (128, 64), "o": (64, 64), "gate_up": (256, 64), "down": (64, 128)}
    with pytest.raises(KeyError):
        Shape.from_config({})


@pytest.mark.parametrize(
    "answer,memory,name",
    [
        ("24564\n", 24564, DEFAULT_CUDA),
        ("8192\n12282\n", 12282, DEFAULT_CUDA),
        ("8192\n", 8192, DEFAULT_CPU),
        ("", None, DEFAULT_CPU),
        (OSError(), None, DEFAULT_CPU),
        (subprocess.TimeoutExpired("nvidia-smi", 10), None, DEFAULT_CPU),
    ],
)
def test_default_by_the_gpu(answer: str | Exception, memory: int | None, name: str, driver: Any) -> None:
    driver(answer)
    assert (gpu_memory_mb(), default_name()) == (memory, name)
