"""Text comes back as it went in, character by character."""

from pathlib import Path
from typing import Any

import pytest

from tailora_adapters.base.tokenizer import CodeTokenizer, TextStream
from tailora_adapters.errors import ModelCorrupt


@pytest.mark.parametrize(
    "text", ["", " ", "\r\n\t x\n", "def é(日本): '🙂'", "<|fim_middle|><|endoftext|>", "\x00\x7f"]
)
def test_round_trip(tokenizer: CodeTokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert not set(ids) & tokenizer.stop_ids
    stream = TextStream(tokenizer)
    pieces = [stream.push(token) for token in ids]
    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)


def test_invalid_bytes_do_not_hold_the_stream_up(tokenizer: CodeTokenizer) -> None:
    stream = TextStream(tokenizer)
    lead = tokenizer.encode("日")[0]
    text = "".join(stream.push(token) for token in [lead] * 4 + tokenizer.encode("ok"))
    assert text.endswith("ok")


def test_stop_tokens(tokenizer: CodeTokenizer, make_tokenizer: Any) -> None:
    assert tokenizer.end_id == tokenizer.token_id("<|endoftext|>")
    assert len(tokenizer.stop_ids) == 8
    with pytest.raises(ModelCorrupt, match="end-of-text"):
        _ = make_tokenizer(("<other>",)).end_id


@pytest.mark.parametrize("content", [None, "", "{}", "\xff"])
def test_damaged_file(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content, encoding="latin-1")
    with pytest.raises(ModelCorrupt, match=r"tokenizer\.json"):
        CodeTokenizer.from_folder(tmp_path)
