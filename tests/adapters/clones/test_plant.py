"""What is planted is what is said of it, parses, and is the same for a seed."""

import ast

from tailora_adapters.clones.alike import alike, kind_of
from tailora_adapters.clones.functions import Function, functions_of
from tailora_adapters.clones.plant import Planted, plant

FILES = {
    f"src/part_{number}.py": f'''
class Holder{number}:
    def visit_{number}(self, path, values, *, strict=False):
        """Visits {number}."""
        # in order
        result = {{}}
        for key, value in values.items():
            if strict and key in self.known:
                raise KeyError(f"{{key}} of {{path}}")
            result[key] = self.convert(value, {number})
            self.known.add(key)
        self.log("visited", len(result))
        return result

    def close_{number}(self, stream):
        while stream.open:
            part = stream.read({number} + 10)
            self.parts.append(part)
            if not part:
                stream.close()
        stream.flush()
        return sum(len(one) for one in self.parts)
'''
    for number in range(8)
}


def _function(text: str, line: int) -> Function:
    (found,) = [one for one in functions_of(text, "python") if one.line == line]
    return found


def _planted(seed: int) -> tuple[dict[str, str], list[Planted]]:
    spots = [(path, one.line) for path, text in FILES.items() for one in functions_of(text, "python")]
    return plant(FILES, spots, count=5, seed=seed, share=0.3)


def test_each_is_of_its_type() -> None:
    texts, planted = _planted(1)
    assert sorted(one.kind for one in planted) == [1] * 5 + [2] * 5 + [3] * 5
    for one in planted:
        ast.parse(texts[one.path])
        assert one.path != one.source_path
        copy, source = (
            _function(texts[one.path], one.line),
            _function(FILES[one.source_path], one.source_line),
        )
        similarity = alike(copy.body, source.body)
        assert kind_of(copy.body, source.body, copy.header == source.header, similarity) == one.kind
        assert (one.edited > 0) == (one.kind == 3)
        assert one.edited <= 0.3


def test_the_sources_stay_as_they_are() -> None:
    texts, _ = _planted(1)
    assert texts.keys() == FILES.keys()
    for path, text in FILES.items():
        assert texts[path].startswith(text.rstrip("\n"))


def test_a_seed_says_what_is_planted() -> None:
    assert _planted(1) == _planted(1)
    assert _planted(1) != _planted(2)
