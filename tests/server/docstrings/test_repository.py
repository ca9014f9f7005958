"""The style is the project's, not the file's, and read again after a while."""

from pathlib import Path

from tailora.docstrings import Styles

SPHINX = 'def f(a):\n    """Opens it.\n\n    :param a: What.\n    """\n    return a\n'
GOOGLE = 'def f(a):\n    """Opens it.\n\n    Args:\n        a: What.\n    """\n    return a\n'


def test_of_a_project(tmp_path: Path) -> None:
    now = [0.0]
    styles = Styles(lambda: now[0])
    for number in range(3):
        (tmp_path / f"{number}.py").write_text(SPHINX)
    assert styles.of(tmp_path, GOOGLE, "python").name == "sphinx"
    for number in range(3):
        (tmp_path / f"{number}.py").write_text(GOOGLE)
    assert styles.of(tmp_path, GOOGLE, "python").name == "sphinx", "not read at every request"
    now[0] = 3600.0
    assert styles.of(tmp_path, GOOGLE, "python").name == "google"


def test_without_a_project_or_its_docstrings_the_files_own(tmp_path: Path) -> None:
    assert Styles().of(None, SPHINX, "python").name == "sphinx"
    assert Styles().of(tmp_path, SPHINX, "python").name == "sphinx"
