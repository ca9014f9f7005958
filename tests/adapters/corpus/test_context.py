"""Training prompts carry definitions of neighbouring files, never of the file itself."""

from dataclasses import dataclass

from tailora_adapters.corpus.context import neighbour_snippets


@dataclass(frozen=True)
class File:
    path: str
    text: str
    language: str = "python"


FILES = [
    File("a/one.py", "import os\n\n\ndef one():\n    return 1\n"),
    File("a/two.py", "class Two:\n    value = 2\n" + "    # more\n" * 30),
    File("a/data.py", "VALUES = [1, 2]\n"),
    File("b/three.go", "package b\n\nfunc Three() int {\n\treturn 3\n}\n", "go"),
    File("b/four.ts", "export const x = 1\n\nexport async function four() {}\n", "typescript"),
]


def test_definitions_of_the_same_folder() -> None:
    found = neighbour_snippets(FILES, seed=1, per_file=5)
    assert set(found) == {file.path for file in FILES}
    assert {path for path, _ in found["a/data.py"]} == {"a/one.py", "a/two.py"}
    assert found["b/four.ts"] == (("b/three.go", "func Three() int {\n\treturn 3\n}\n"),)
    assert found["b/three.go"][0][1].startswith("export async function four")
    for path, snippets in found.items():
        assert path not in [other for other, _ in snippets]


def test_few_lines_and_few_files() -> None:
    found = neighbour_snippets(FILES, seed=1, per_file=1, lines=3)
    assert all(len(snippets) <= 1 for snippets in found.values())
    assert all(text.count("\n") < 3 for snippets in found.values() for _, text in snippets)


def test_deterministic_whatever_stands_beside() -> None:
    assert neighbour_snippets(FILES, seed=1) == neighbour_snippets(FILES, seed=1)
    assert neighbour_snippets(FILES[:3], seed=1)["a/one.py"] == neighbour_snippets(FILES, seed=1)["a/one.py"]
    assert neighbour_snippets([], seed=1) == {}


def test_a_file_more_leaves_most_as_it_was() -> None:
    many = [File(f"a/f{i}.py", "\n".join(f"def f{i}_{j}(): ..." for j in range(9))) for i in range(20)]
    before, after = (
        neighbour_snippets(files, seed=1) for files in (many, [File("a/new.py", "def n(): ..."), *many])
    )
    assert sum(before[path] == after[path] for path in before) >= 15
