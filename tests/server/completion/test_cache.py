"""Free answers while the user types what was suggested."""

from dataclasses import replace

from tailora.completion import CacheKey, Snapshot, TypedThrough

KEY = CacheKey("model", "adapter@1", ("auto", 64))


def typed(snapshot: Snapshot, text: str) -> Snapshot:
    return replace(
        snapshot,
        text=snapshot.prefix + text + snapshot.suffix,
        offset=snapshot.offset + len(text),
        version=(snapshot.version or 0) + 1,
    )


def test_typing_what_was_suggested(at):
    cache, snapshot = TypedThrough(), at("x = ¦\ny = 2\n")
    cache.put(KEY, snapshot, "foo(1)\r\n😀")
    assert cache.get(KEY, snapshot) == "foo(1)\r\n😀"
    assert cache.get(KEY, typed(snapshot, "foo(")) == "1)\r\n😀"
    assert cache.get(KEY, typed(snapshot, "foo(1)\r\n")) == "😀"
    assert cache.get(KEY, typed(snapshot, "foo(1)\r\n😀")) is None
    assert cache.get(KEY, typed(snapshot, "f")) == "oo(1)\r\n😀"  # deleted again


def test_anything_else_is_not_answered(at):
    cache, snapshot = TypedThrough(), at("x = ¦\ny = 2\n")
    cache.put(KEY, snapshot, "foo(1)")
    assert cache.get(KEY, typed(snapshot, "fa")) is None
    assert cache.get(KEY, typed(snapshot, "foo(1)!")) is None
    assert cache.get(KEY, at("x =¦\ny = 2\n")) is None
    assert cache.get(KEY, at("z = ¦\ny = 2\n")) is None
    assert cache.get(KEY, at("x = f¦\ny = 3\n")) is None
    assert cache.get(KEY, at("x = f¦)\ny = 2\n")) is None
    assert cache.get(KEY, at("x = ¦\ny = 2\n", path="/repo/other")) is None


def test_a_suggestion_belongs_to_its_model_adapter_and_settings(at):
    cache, snapshot = TypedThrough(), at("x = ¦\n")
    cache.put(KEY, snapshot, "foo")
    for other in (replace(KEY, model="m"), replace(KEY, adapter="adapter@2"), replace(KEY, settings=())):
        assert cache.get(other, snapshot) is None
    cache.clear(keep=KEY)
    assert cache.get(KEY, snapshot) == "foo"
    cache.clear(keep=replace(KEY, adapter=None))
    assert cache.get(KEY, snapshot) is None


def test_the_newest_answer_wins_and_the_longest_unused_goes(at):
    cache = TypedThrough(max_entries=2)
    first, second, third = at("a = ¦\n"), at("b = ¦\n"), at("c = ¦\n")
    cache.put(KEY, first, "one")
    cache.put(KEY, first, "uno")
    cache.put(KEY, second, "two")
    assert cache.get(KEY, first) == "uno"
    cache.put(KEY, third, "three")
    assert len(cache) == 2
    assert cache.get(KEY, second) is None
    assert cache.get(KEY, first) == "uno"
    cache.clear()
    assert len(cache) == 0


def test_the_same_letters_at_two_places(at):
    cache = TypedThrough()
    cache.put(KEY, at("x = ¦\n"), "fall")
    cache.put(KEY, at("x = f¦\n"), "ox")
    assert cache.get(KEY, at("x = f¦\n")) == "ox"
    assert cache.get(KEY, at("x = fa¦\n")) == "ll"
    assert cache.get(KEY, at("x = fo¦\n")) == "x"


def test_that_there_is_nothing_to_suggest_is_remembered_for_that_place_alone(at):
    cache = TypedThrough()
    cache.put(KEY, at("x = ¦\n"), "")
    assert cache.get(KEY, at("x = ¦\n")) == ""
    assert cache.get(KEY, at("x = f¦\n")) is None
    assert cache.get(KEY, at("x =¦ \n")) is None


def test_a_large_document_is_not_kept():
    cache = TypedThrough()
    text = "x" * 50_000_000
    for offset in range(0, 64_000, 1000):
        cache.put(KEY, Snapshot("file:///f", None, "c", 1, text, offset), "suggestion")
    assert cache.get(KEY, Snapshot("file:///f", None, "c", 1, text, 5000)) == "suggestion"
