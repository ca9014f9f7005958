"""Stores a source distribution without running it: ``python -m`` this module, with NAME, FILE and FOLDER.

``pip download`` builds a source distribution's metadata, which runs the package's code (pypa/pip#1884), so this asks
pip's finder for the link and pip's session for the file: index, proxy and certificates are those that pip has. pip's
classes are not a public interface; they are used in this process alone and nowhere else.
"""

import sys
from pathlib import Path

from pip._internal.commands.download import DownloadCommand

__all__ = ["main"]


def main() -> None:
    """Exits with a message where there is no such file."""
    name, file, folder = sys.argv[1:]
    command = DownloadCommand("download", "")
    options, _ = command.parse_args(["--quiet", "--no-binary=:all:", name])
    with command.main_context():
        session = command.get_default_session(options)
        finder = command._build_package_finder(options, session, ignore_requires_python=True)
        links = (candidate.link for candidate in finder.find_all_candidates(name))
        link = next((link for link in links if link.filename == file), None)
        if link is None:
            sys.exit(f"the package index has no {file}")
        answer = session.get(link.url_without_fragment, headers={"Accept-Encoding": "identity"})
        answer.raise_for_status()
        (Path(folder) / file).write_bytes(answer.content)


if __name__ == "__main__":
    main()
