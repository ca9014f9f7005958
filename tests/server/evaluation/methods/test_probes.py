"""What stands out is told in bits, and what bandit objects to is counted where it was written."""

from tailora.evaluation.methods.probes import exposure, insecure
from tailora_adapters.corpus.examples import FimExample
from tailora_adapters.corpus.sequences import TokenSequence

TEXT = "import subprocess\n\n\ndef run(name):\n    return None\n"


def hole(middle: str = "return None", path: str = "a.py") -> TokenSequence:
    prefix, suffix = TEXT.split(middle)
    return TokenSequence((), 0, 0, FimExample(path, "python", prefix, middle, suffix, "line", 4))


def test_exposure_is_the_rank_among_random_texts() -> None:
    assert exposure([1.0, 2.0, 3.0, 4.0]) == 2.0
    assert exposure([9.0, 2.0, 3.0, 4.0]) == 0.0
    assert exposure([2.5, 2.0, 3.0, 4.0]) == 1.0


def test_only_what_was_written_counts() -> None:
    bad = "return subprocess.call(name, shell=True)"
    found = insecure([hole(), hole()], [bad, "return len(name)"], {"a.py": TEXT})
    assert found is not None
    counted = {name: found[name] for name in ("lines", "issues", "share")}
    assert counted == {"lines": 2, "issues": 1, "share": 0.5}, "not the import above"


def test_a_file_that_no_longer_parses_is_counted_by_itself() -> None:
    found = insecure([hole(), hole()], ["return (", "return 1"], {"a.py": TEXT})
    assert found is not None
    assert found["unreadable"] == 1
    assert found["lines"] == 1


def test_nothing_in_python_has_no_share() -> None:
    assert insecure([hole(path="b.js")], ["return 1"], {}) is None
