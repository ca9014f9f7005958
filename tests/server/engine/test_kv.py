"""A KV state is found by its tokens and never leaves the adapter that computed it."""

from tailora.engine.kv import KvPool


class State:
    """What the pool knows of a decoder's state."""

    def __init__(self, tokens: list[int]) -> None:
        self.tokens = tokens

    def crop(self, length: int) -> None:
        del self.tokens[length:]

    def copy(self, length: int) -> "State":
        return State(self.tokens[:length])


def tokens(state: State | None) -> list[int] | None:
    return None if state is None else state.tokens


def test_never_continues_under_another_adapter() -> None:
    pool: KvPool[State] = KvPool()
    pool.put("old", "a.py", State([1, 2, 3, 4, 5, 6]))
    for key in ("new", "", "ol", "old "):
        assert pool.take(key, "a.py", [1, 2, 3, 4, 5, 6]) is None
    assert tokens(pool.take("old", "a.py", [1, 2, 3, 4, 5, 6])) == [1, 2, 3, 4, 5]


def test_put_under_another_adapter_keeps_the_first() -> None:
    pool: KvPool[State] = KvPool()
    pool.put("old", "a.py", State([1, 2, 3]))
    pool.put("new", "a.py", State([1, 2, 9]))
    assert tokens(pool.take("old", "a.py", [1, 2, 3, 4])) == [1, 2, 3]
    assert tokens(pool.take("new", "a.py", [1, 2, 9, 4])) == [1, 2, 9]


def test_longest_common_beginning_wins() -> None:
    pool: KvPool[State] = KvPool()
    pool.put("", "a.py", State([1, 2, 9, 9]))
    pool.put("", "b.py", State([1, 2, 3, 8]))
    pool.put("", "c.py", State([1, 8, 8, 8]))
    assert tokens(pool.take("", None, [1, 2, 3, 4, 5])) == [1, 2, 3]
    assert pool.take("", None, [7, 7]) is None


def test_leaves_a_token_to_compute() -> None:
    pool: KvPool[State] = KvPool()
    pool.put("", "a.py", State([1, 2, 3]))
    assert tokens(pool.take("", "a.py", [1, 2, 3])) == [1, 2]
    pool.put("", "b.py", State([5]))
    assert pool.take("", "b.py", [5]) is None


def test_own_document_is_continued_in_place() -> None:
    pool: KvPool[State] = KvPool()
    state = State([1, *range(100, 150)])
    pool.put("", "a.py", state)
    assert pool.take("", "a.py", [1, 2, 3]) is state
    assert state.tokens == [1]
    assert len(pool) == 0


def test_other_documents_keep_their_tail() -> None:
    pool: KvPool[State] = KvPool()
    state = State([1, 2, *range(100, 150)])
    pool.put("", "a.py", state)
    taken = pool.take("", "b.py", [1, 2, 3, 4])
    assert tokens(taken) == [1, 2]
    assert taken is not state
    assert tokens(pool.take("", "a.py", [*state.tokens, 7])) == [1, 2, *range(100, 150)]


def test_least_recently_used_leaves() -> None:
    pool: KvPool[State] = KvPool(2)
    pool.put("", "a.py", State([1, 1]))
    pool.put("", "b.py", State([2, 2]))
    pool.put("", "a.py", pool.take("", "a.py", [1, 1, 1]) or State([]))  # used again
    pool.put("", "c.py", State([3, 3]))
    assert pool.take("", "b.py", [2, 2, 2]) is None
    assert pool.take("", "a.py", [1, 1, 1]) is not None
    assert pool.take("", "c.py", [3, 3, 3]) is not None


def test_one_state_a_document_and_clear() -> None:
    pool: KvPool[State] = KvPool()
    for _ in range(3):
        pool.put("", "a.py", State([1, 2]))
    assert len(pool) == 1
    pool.clear()
    assert pool.take("", "a.py", [1, 2, 3]) is None
