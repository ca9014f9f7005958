"""What the server is made of: no torch, and nothing but the protocol on standard output."""

import subprocess
import sys

import pytest

from tailora.lsp.server import main


def test_imports_no_torch():
    heavy = "torch", "transformers", "peft", "starlette", "uvicorn", "tailora.engine.client"
    code = f"import sys, tailora.lsp.server; print([name for name in {heavy!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"[]\n"


def test_whoever_prints_does_not_reach_the_client():
    code = (
        "import os; from tailora.lsp.stdio import claim_stdout; writer = claim_stdout(); "
        "print('printed', flush=True); os.write(1, b'written'); os.system('echo spawned'); "
        "writer.write(b'message')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"message"
    assert done.stderr == b"printed\nwrittenspawned\n"


def test_bad_arguments(capsys):
    with pytest.raises(SystemExit):
        main(["--nonsense"])
    assert "usage: tailora lsp" in capsys.readouterr().err
