"""The format follows from the special tokens that a vocabulary really has."""

import pytest

from tailora_adapters.base.fim import FORMATS, PREFIX, PREFIX_ONLY, SUFFIX, detect

FAMILIES = {
    "qwen2.5-coder": {"<|endoftext|>", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|file_sep|>"},
    "starcoder2": {"<|endoftext|>", "<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<file_sep>"},
    "code-llama": {"<s>", "</s>", "▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>"},
    "deepseek-coder": {
        "<｜begin▁of▁sentence｜>",
        "<｜end▁of▁sentence｜>",
        "<｜fim▁begin｜>",
        "<｜fim▁hole｜>",
        "<｜fim▁end｜>",
    },
    "codestral": {"<s>", "</s>", "[SUFFIX]", "[PREFIX]"},
}


def test_every_format_has_a_family() -> None:
    assert {fmt.name for fmt in FORMATS} == set(FAMILIES)


@pytest.mark.parametrize("name", FAMILIES)
def test_detects_family(name: str) -> None:
    vocabulary = {token: number for number, token in enumerate(sorted(FAMILIES[name]))}
    found = detect(vocabulary.get)
    assert found.name == name
    assert found.fills_holes
    assert found.end in vocabulary
    assert found.template.count(PREFIX) == found.template.count(SUFFIX) == 1


@pytest.mark.parametrize("name", FAMILIES)
def test_one_token_missing_is_no_match(name: str) -> None:
    fmt = next(fmt for fmt in FORMATS if fmt.name == name)
    for missing in fmt.special_tokens:
        vocabulary = dict.fromkeys(FAMILIES[name] - {missing}, 0)
        assert detect(vocabulary.get) is PREFIX_ONLY, missing


def test_none() -> None:
    found = detect({"</s>": 2, "hello": 3}.get)
    assert found is PREFIX_ONLY
    assert not found.fills_holes
    assert found.special_tokens == ()
