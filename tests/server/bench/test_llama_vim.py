import pytest

from tailora.bench.llama_vim import (
    MAX_CACHE_KEYS,
    N_PREFIX,
    N_SUFFIX,
    Context,
    ResultCache,
    local_context,
    render,
    request_body,
)

LINES = ["def f(a):", "    total = a", "    return total", "", "print(f(1))"]


def test_the_context_is_whole_lines_around_the_cursors_line() -> None:
    context = local_context(LINES, 12, 1)
    assert context.prefix == "def f(a):\n"
    assert context.middle == "    total = "
    assert context.suffix == "a\n    return total\n\nprint(f(1))\n"
    assert context.indent == 4
    assert context.line_suffix == "a"


def test_a_blank_line_is_sent_as_an_empty_one() -> None:
    context = local_context(["x", "    ", "y"], 4, 1)
    assert (context.middle, context.suffix, context.indent) == ("", "\ny\n", 0)


def test_the_context_is_cut_by_lines() -> None:
    lines = [f"line {number}" for number in range(1000)]
    context = local_context(lines, 0, 500)
    assert context.prefix.count("\n") == N_PREFIX
    assert context.suffix.count("\n") == N_SUFFIX + 1


def test_a_shown_suggestion_is_taken_as_accepted_for_the_speculative_request() -> None:
    one = local_context(["def f(a):", "    return ", "x"], 11, 1, ["a + 1"], indent_last=4)
    assert (one.prefix, one.middle, one.suffix, one.indent) == ("def f(a):\n", "    return a + 1", "\nx\n", 4)
    two = local_context(["def f(a):", "    return ", "x"], 11, 1, ["(", "        a", "    )"])
    assert two.prefix == "def f(a):\n    return (\n        a\n"
    assert two.middle == "    )"
    # ... which is the context that there will be.
    accepted = local_context(["def f(a):", "    return (", "        a", "    )", "x"], 5, 3)
    assert accepted.key == two.key


def test_the_request_is_the_plugins() -> None:
    context = local_context(LINES, 12, 1)
    body = request_body(context, speculative=False)
    assert body["prompt"] == context.middle
    assert body["samplers"] == ["top_k", "top_p", "infill"]
    assert (body["n_predict"], body["t_max_predict_ms"]) == (128, 250)
    assert body["cache_prompt"] is True
    assert body["stream"] is False
    assert request_body(context, speculative=True)["t_max_predict_ms"] == 1000


def at(middle: str) -> Context:
    return local_context(["a", middle, "z"], len(middle), 1)


def test_a_result_is_found_behind_the_cursor_while_it_is_typed_through() -> None:
    cache = ResultCache()
    cache.put(at("ret").keys, "urn value\n")
    assert cache.find(at("ret")) == "urn value\n"
    assert cache.find(at("return v")) == "alue\n"
    assert cache.find(at("return x")) is None
    assert cache.find(at("re")) is None


def test_of_several_results_the_longest_rest_is_taken() -> None:
    cache = ResultCache()
    cache.put(at("a").keys, "bc")
    cache.put(at("ab").keys, "c and more")
    assert cache.find(at("abc")) == " and more"


def test_a_result_is_found_when_the_window_has_scrolled() -> None:
    above, below = [f"line {number}" for number in range(400)], [f"below {number}" for number in range(200)]
    cache = ResultCache()
    cache.put(local_context([*above, "call(", *below], 5, 400).keys, "\nnext")
    assert cache.find(local_context([*above, "call(", "ne", *below], 2, 401)) == "xt"


def test_the_least_recently_used_results_are_forgotten() -> None:
    cache = ResultCache()
    cache.put(["first"], "1")
    cache.put(["second"], "2")
    assert cache._get("first") == "1"
    for number in range(MAX_CACHE_KEYS - 1):
        cache.put([f"more {number}"], "x")
    assert cache._get("first") == "1"
    assert cache._get("second") is None


@pytest.mark.parametrize(
    "content, lines, x, y, text",
    [
        ("a + b\n\n", ["    return ", "end"], 11, 0, "a + b"),
        ("one\ntwo", ["    ", "end"], 4, 0, "one\ntwo"),
        ("    one\n    two", ["    ", "end"], 4, 0, "one\n    two"),  # the indentation is there already
        (")", ["f(a)", "end"], 3, 0, ""),  # repeats the rest of the line
        ("nt(x)", ["pri", "print(x)"], 3, 0, ""),  # repeats the next line
        ("nt(x)\nfoo", ["pri", "print(x)", "foobar"], 3, 0, ""),
        ("nt(x)\nother", ["pri", "print(x)", "foobar"], 3, 0, "nt(x)\nother"),
        ("\nprint(x)", ["done", "print(x)", "z"], 4, 0, ""),  # the next lines once more
        ("\n\n", ["x = ", "end"], 4, 0, ""),
        ("", ["x = ", "end"], 4, 0, ""),
    ],
)
def test_what_repeats_the_document_is_not_shown(
    content: str, lines: list[str], x: int, y: int, text: str
) -> None:
    shown = render(content, lines, x, y)
    assert shown.text == text
    assert shown.can_accept == bool(text)
    if text:
        assert shown.lines[-1].endswith(lines[y][x:])
