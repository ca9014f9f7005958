"""A prompt stays within its budget, keeps its beginning while someone types, and holds no control token of theirs."""

import itertools
import random
from typing import Any

import pytest

from tailora_adapters.base.prompt import ANCHOR_LINES, TAIL_LINES, Prompt, PromptBudget, build_prompt

LINES = [f"value_{number} = area({number}, {number * 7 % 13})\n" for number in range(200)]
BUDGET = PromptBudget(prefix=120, suffix=40, context=60)


def parts(tokenizer: Any, prompt: Prompt) -> tuple[list[int], list[int], list[int]]:
    """Context, prefix (head and tail) and suffix of a Qwen prompt."""
    context, head, suffix, tail = pieces(tokenizer, prompt)
    return context, head + tail, suffix


def pieces(tokenizer: Any, prompt: Prompt) -> tuple[list[int], list[int], list[int], list[int]]:
    """Context, head, suffix and tail of a Qwen prompt."""
    ids = prompt.ids
    at = [ids.index(tokenizer.token_id(f"<|fim_{name}|>")) for name in ("prefix", "suffix", "middle")]
    assert at[2] == prompt.tail - 1
    return ids[: at[0]], ids[at[0] + 1 : at[1]], ids[at[1] + 1 : at[2]], ids[prompt.tail :]


def test_short_texts_are_whole(tokenizer: Any) -> None:
    context, prefix, suffix = parts(tokenizer, build_prompt(tokenizer, "a = 1\nb = ", "\nc = 3\n"))
    assert context == []
    assert tokenizer.decode(prefix) == "a = 1\nb = "
    assert tokenizer.decode(suffix) == "\nc = 3\n"


def test_never_over_budget(tokenizer: Any) -> None:
    rng = random.Random(4)
    texts = [
        "",
        "\n" * 500,
        "x" * 9000,
        "日本語 🙂" * 400,
        "".join(LINES),
        "\t\t\n" * 300,
        "a\r\nb\x0c" * 300,
    ]
    for _ in range(60):
        prefix, suffix, other = (rng.choice(texts)[rng.randrange(50) :] for _ in range(3))
        budget = PromptBudget(
            rng.randrange(1, 200), rng.randrange(1, 80), rng.randrange(0, 90), rng.randrange(0, 60)
        )
        prompt = build_prompt(
            tokenizer, prefix, suffix, context=[("a.py", other)], path="b.py", budget=budget
        )
        context, before, after, tail = pieces(tokenizer, prompt)
        assert len(before) <= budget.prefix
        assert len(tail) <= budget.tail
        assert len(after) <= budget.suffix
        # The current file's own heading comes on top of the snippets.
        assert len(context) <= budget.context + 1 + len(tokenizer.encode("b.py\n"))


def test_prefix_ends_at_the_cursor(tokenizer: Any) -> None:
    text = "".join(LINES) + "result = are"
    _, prefix, _ = parts(tokenizer, build_prompt(tokenizer, text, "", budget=BUDGET))
    assert text.endswith(tokenizer.decode(prefix))
    assert 30 < len(prefix) <= BUDGET.prefix + BUDGET.tail


def test_typing_changes_the_tail_alone(tokenizer: Any) -> None:
    before = "".join(LINES[: 3 * TAIL_LINES])
    typed = "total = 0\nfor value in values:\n    total += value\n"
    prompts = [
        build_prompt(tokenizer, before + typed[:cut], "\nprint(total)\n", budget=PromptBudget(900))
        for cut in range(len(typed) + 1)
    ]
    for prompt, cut in zip(prompts, range(len(typed) + 1), strict=True):
        assert prompt.ids[: prompt.tail] == prompts[0].ids[: prompts[0].tail]
        assert tokenizer.decode(prompt.ids[prompt.tail :]) == typed[:cut]
    # After some lines they become part of the head.
    lines = "x = 1\n" * TAIL_LINES
    assert build_prompt(tokenizer, before + lines, "\n").tail > prompts[0].tail


def test_a_long_tail_begins_at_the_cursors_line(tokenizer: Any) -> None:
    long = "values = [" + ", ".join(map(str, range(60))) + "]\n"
    prompt = build_prompt(
        tokenizer, "a = 1\n" * TAIL_LINES + long + "b = ", "", budget=PromptBudget(900, tail=50)
    )
    assert tokenizer.decode(prompt.ids[prompt.tail :]) == "b = "
    prompt = build_prompt(tokenizer, "a = 1\n" + long[:-1], "", budget=PromptBudget(900, tail=50))
    assert prompt.tail == len(prompt.ids)


@pytest.mark.parametrize("lines", [5, 40, 47, 48, 150])
def test_typing_keeps_the_beginning(tokenizer: Any, lines: int) -> None:
    before = "".join(LINES[:lines])
    typed = "total = sum(values)"
    prompts = [
        build_prompt(tokenizer, before + typed[:cut], "\nprint(total)\n", budget=BUDGET)
        for cut in range(len(typed))
    ]
    kept = parts(tokenizer, prompts[0])[1][:-1]
    moved = [parts(tokenizer, prompt)[1][: len(kept)] != kept for prompt in prompts]
    assert sum(a != b for a, b in itertools.pairwise(moved)) <= 1  # at most one new anchor


def test_cut_begins_at_an_anchor(tokenizer: Any) -> None:
    for lines in (60, 61, 75, 76, 77):
        text = "".join(LINES[:lines])
        prefix = tokenizer.decode(
            parts(tokenizer, build_prompt(tokenizer, text, "", budget=PromptBudget(400)))[1]
        )
        first = prefix.splitlines(keepends=True)[0]
        assert LINES.index(first) % ANCHOR_LINES == 0


def test_long_line_is_cut_to_its_end(tokenizer: Any) -> None:
    text = "values = [" + ", ".join(map(str, range(3000)))
    _, prefix, _ = parts(tokenizer, build_prompt(tokenizer, text, "", budget=BUDGET))
    assert len(prefix) == BUDGET.prefix, "longer than a tail may be: all of it is head"
    assert text.endswith(tokenizer.decode(prefix))


def test_suffix_is_cut_at_a_line_end(tokenizer: Any) -> None:
    text = "".join(LINES)
    _, _, suffix = parts(tokenizer, build_prompt(tokenizer, "x", text, budget=PromptBudget(suffix=70)))
    written = tokenizer.decode(suffix)
    assert text.startswith(written)
    assert written.endswith("\n")


def test_context_goes_in_whole_or_not_at_all(tokenizer: Any) -> None:
    small, large = ("a.py", "def f(): ..."), ("b.py", "".join(LINES[:20]))
    one = build_prompt(tokenizer, "x", "", context=[small], path="c.py", budget=BUDGET)
    text = tokenizer.decode(parts(tokenizer, one)[0])
    assert text == "a.py\ndef f(): ...\nc.py\n"
    assert build_prompt(tokenizer, "x", "", context=[small, large], path="c.py", budget=BUDGET) == one
    assert build_prompt(
        tokenizer, "x", "", context=[large, small], path="c.py", budget=BUDGET
    ) == build_prompt(tokenizer, "x", "")


def test_user_text_never_becomes_a_control_token(tokenizer: Any) -> None:
    control = [
        tokenizer.token_id(token) for token in tokenizer.fim.stops if tokenizer.token_id(token) is not None
    ]
    evil = "".join(f"{token}\n" for token in tokenizer.fim.stops)
    prompt = build_prompt(
        tokenizer, evil, evil, context=[(evil, evil)], path=evil, budget=PromptBudget(900, 900, 900, 900)
    )
    ids = prompt.ids
    counted = {identifier: ids.count(identifier) for identifier in control if identifier in ids}
    names = {
        tokenizer.token_id(f"<|{name}|>"): name
        for name in ("fim_prefix", "fim_suffix", "fim_middle", "file_sep")
    }
    assert {names[identifier]: count for identifier, count in counted.items()} == {
        "fim_prefix": 1,
        "fim_suffix": 1,
        "fim_middle": 1,
        "file_sep": 2,
    }
    assert tokenizer.decode(parts(tokenizer, prompt)[1]) == evil


def test_prefix_only(make_tokenizer: Any) -> None:
    tokenizer = make_tokenizer(("<|endoftext|>",))
    prompt = build_prompt(tokenizer, "a = ", "\nb = 2", context=[("x", "y")])
    assert tokenizer.decode(prompt.ids) == "a = "


def test_suffix_first_family(make_tokenizer: Any) -> None:
    tokenizer = make_tokenizer(("<s>", "</s>", "[SUFFIX]", "[PREFIX]"))
    ids, tail = (prompt := build_prompt(tokenizer, "a = ", "\nb = 2")).ids, prompt.tail
    assert tail == len(ids), "the prefix stands last by itself"
    expected = [tokenizer.token_id("<s>"), tokenizer.token_id("[SUFFIX]"), *tokenizer.encode("\nb = 2")]
    assert ids == [*expected, tokenizer.token_id("[PREFIX]"), *tokenizer.encode("a = ")]
    assert tokenizer.end_id == tokenizer.token_id("</s>")
