"""A KV state is found by its tokens, survives visits elsewhere, and never leaves the adapter that computed it."""

from collections.abc import Sequence

from tailora.engine.kv import KvPool


class State:
    """What the pool knows of a decoder's state."""

    def __init__(self, tokens: list[int], halted_ids: Sequence[int] = (), prompt_length: int = 0) -> None:
        self.tokens = tokens
        self.halted_ids = halted_ids
        self.prompt_length = prompt_length

    def crop(self, length: int) -> None:
        if length < len(self.tokens):
            self.halted_ids = ()
        del self.tokens[length:]

    def copy(self, length: int) -> "State":
        return State(self.tokens[:length])


def pool_of(*states: State, adapter: str = "", max_tokens: int = 10_000) -> KvPool[State]:
    pool: KvPool[State] = KvPool(max_tokens)
    for state in states:
        pool.put(adapter, state)
    return pool


def tokens(state: State | None) -> list[int] | None:
    return None if state is None else state.tokens


def firsts(pool: KvPool[State]) -> list[int]:
    """The first token of each state, the most recently used first."""
    return [slot.state.tokens[0] for slot in reversed(pool._slots)]


def test_never_continues_under_another_adapter() -> None:
    pool = pool_of(State([1, 2, 3, 4, 5, 6]), adapter="old")
    for key in ("new", "", "ol", "old "):
        assert pool.take(key, [1, 2, 3, 4, 5, 6]) is None
    assert tokens(pool.take("old", [1, 2, 3, 4, 5, 6])) == [1, 2, 3, 4, 5]


def test_put_under_another_adapter_keeps_the_first() -> None:
    pool = pool_of(State([1, 2, 3]), adapter="old")
    pool.put("new", State([1, 2, 3, 9]))
    assert tokens(pool.take("old", [1, 2, 3, 4])) == [1, 2, 3]
    assert tokens(pool.take("new", [1, 2, 3, 9, 4])) == [1, 2, 3, 9]


def test_longest_common_beginning_wins() -> None:
    pool = pool_of(State([1, 2, 9, 9]), State([1, 2, 3, 8]), State([1, 8, 8, 8]))
    assert tokens(pool.take("", [1, 2, 3, 4, 5])) == [1, 2, 3]
    assert pool.take("", [7, 7]) is None


def test_leaves_a_token_to_compute() -> None:
    assert tokens(pool_of(State([1, 2, 3])).take("", [1, 2, 3])) == [1, 2]
    # Unless what comes behind the whole prompt was kept.
    assert tokens(pool_of(State([1, 2, 3, 7], prompt_length=3)).take("", [1, 2, 3])) == [1, 2, 3]
    assert tokens(pool_of(State([1, 2, 3, 7], prompt_length=2)).take("", [1, 2, 3])) == [1, 2]


def test_a_small_change_goes_on_in_place_a_jump_in_a_copy() -> None:
    state = State([1, 2, *range(100, 400)])
    pool = pool_of(state)
    assert pool.take("", [*state.tokens[:290], 7]) is state
    state = State([1, 2, *range(100, 400)])
    pool = pool_of(state)
    jumped = pool.take("", [1, 2, 100, 101, 7])
    assert tokens(jumped) == [1, 2, 100, 101]
    assert jumped is not state
    pool.put("", jumped)
    back = pool.take("", [*range(1, 3), *range(100, 400), 5])
    assert back is state, "the place that was left is still there"
    assert len(state.tokens) == 302


def test_what_lies_within_another_state_goes() -> None:
    pool = pool_of(State([1, 2]), State([1, 3]))
    pool.put("", State([1, 2, 3]))
    assert len(pool) == 2
    pool.put("other", State([1, 3, 4]))
    assert len(pool) == 3


def test_least_recently_used_leaves_when_all_is_full() -> None:
    pool = pool_of(State([1] * 40), State([2] * 40), max_tokens=100)
    pool.put("", pool.take("", [1] * 41))  # type: ignore[arg-type]
    pool.put("", State([3] * 40))
    assert pool.take("", [2, 2]) is None
    assert firsts(pool) == [3, 1]


def test_shrinks_to_the_newest() -> None:
    pool = pool_of(State([1] * 40), State([2] * 40), State([3] * 40))
    pool.shrink(10)
    assert firsts(pool) == [3]
    assert pool.tokens == 40
    pool.clear()
    assert pool.tokens == len(pool) == 0


def test_an_input_that_was_stopped_half_way_is_taken_up_again() -> None:
    stopped = State([1, 2], halted_ids=[3, 4, 5])
    pool = pool_of(stopped, State([9, 9, 9]), State([1, 2]))
    assert pool.take("", [1, 2, 3, 4, 5, 6]) is stopped
    assert list(stopped.halted_ids) == [3, 4, 5]
    # Even if nothing was read before it.
    first = State([], halted_ids=[3, 4])
    pool = pool_of(first, State([8, 8]))
    assert pool.take("", [3, 4, 5]) is first
    assert pool_of(State([], halted_ids=[3, 4])).take("", [3, 7, 5]) is None
