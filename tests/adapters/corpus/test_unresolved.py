"""Names that nothing binds, in all the ways that Python has to bind one."""

import pytest

from tailora_adapters.corpus.unresolved import unresolved


@pytest.mark.parametrize(
    "text,names",
    [
        ("print(x)\n", {"x"}),
        ("def f():\n    return y\n", {"y"}),
        ("def f():\n    return y\ny = 1\n", set()),
        (
            "import a.b\na.b.c()\nclass C:\n    d = 1\n    def m(self):\n        return self.d, __class__\n",
            set(),
        ),
        ("def f():\n    global g\n    g = 1\ndef h():\n    return g\n", set()),
        ("[i for i in range(3)]\nlambda z: z\n{k: v for k, v in {}.items()}\n", set()),
        ("from os import *\nprint(path)\n", set()),
        ("try:\n    pass\nexcept ValueError as e:\n    print(e)\nwith open('f') as h:\n    h\n", set()),
        ("print(__file__, __name__)\n", set()),
        ("def broken(:\n", set()),
        ("match 1:\n    case n if n > 0:\n        n\n", set()),
        ("if (n := 3) > 2:\n    print(n)\n", set()),
    ],
)
def test_unresolved(text: str, names: set[str]) -> None:
    assert unresolved(text) == names
