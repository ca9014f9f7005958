"""Every kind of secret is found, ordinary code is not, and a scan that breaks counts as a finding.

The secrets are made up at run time, so that nothing in this file looks like one.
"""

import inspect
import random
import string
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tailora_adapters.corpus import secrets
from tailora_adapters.corpus.secrets import SCAN_FAILED, SecretFinding, is_secret_file, scan

ALNUM = string.ascii_letters + string.digits
LOWER = string.ascii_lowercase + string.digits
HEX = "0123456789abcdef"
_random = random.Random(4)


def some(alphabet: str, length: int) -> str:
    return "".join(_random.choice(alphabet) for _ in range(length))


@pytest.fixture(autouse=True)
def _seed() -> None:
    _random.seed(4)


@pytest.mark.parametrize("seed", range(5))
def test_planted_secret_is_found_where_it_is(secret_kind: str, seed: int, plant: Any) -> None:
    code = plant(secret_kind, seed).code
    text = f"import os\n\n\ndef connect():\n    {code}\n    return 1\n"
    lines = range(5, 6 + code.count("\n"))
    assert any(finding.line in lines for finding in scan(text, "src/a.py"))


@pytest.mark.parametrize("line", ["export DB_PASSWORD={}", "export API_KEY='{}'", "SECRET_KEY={} ./run"])
def test_shell_needs_no_quotes(line: str) -> None:
    assert scan(line.format(some(LOWER, 12) + "9"), "deploy.sh")


@pytest.mark.parametrize(
    "line",
    [
        "password=None",
        'password = ""',
        'password = "password"',
        'secret = "changeme"',
        'password = getpass.getpass("Enter your password: ")',
        'PASSWORD_HELP = "Your password must not be empty, please."',
        'token_url = "https://example.com/oauth/token"',
        'SECRET_NAME = "my-app/db-password"',
        'password_field = "id_password"',
        'api_key = os.environ["OPENAI_API_KEY"]',
        'client_secret = "<your client secret>"',
        'password = "${DB_PASSWORD}"',
        'token = "{token}"',
        'API_KEY = "your-api-key-here"',
        'pad_token = "<|endoftext|>"',
        'cache_key = "user:%s:profile" % name',
        'url = "postgres://user:password@localhost/db"',
        'url = f"https://{user}:{password}@{host}/"',
        'sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"',
        'assert commit == "da39a3ee5e6b4b0d3255bfef95601890afd80709"',
        'integrity="sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="',
        'id = "123e4567-e89b-12d3-a456-426614174000"',
        'alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"',
        'from x import NFCISO15693ReadMultipleBlocksConfiguration as Some44CharacterLongName',
        'name = "VeryLongCamelCaseConfigurationHandlerFactoryBean2"',
        'load(join(pwd, "./data/mt19937-testset-1.csv"))',
        'for key, value in sorted(tokens.items(), key=lambda pair: pair[0]):',
    ],
)  # fmt: skip
def test_ordinary_code_is_not(line: str) -> None:
    assert scan(f"{line}\n", "src/a.py") == ()


def test_ordinary_shell_is_not() -> None:
    assert scan('PASSWORD=$1\nTOKEN="$(cat token)"\nread -s -p "Password: " password\n', "run.sh") == ()


def test_an_allowlist_comment_does_not_help() -> None:
    assert scan(f'password = "tr0ub{some(LOWER, 5)}"  # pragma: allowlist secret\n', "a.py")


def test_few_files_of_real_packages_are_rejected() -> None:
    package = Path(inspect.getfile(pytest)).parents[1]
    files = [
        file for name in ("starlette", "rich", "pygls", "watchdog", "typer", "uvicorn", "_pytest")
        for file in sorted((package / name).rglob("*.py"))
    ]  # fmt: skip
    rejected = [file.name for file in files if scan(file.read_text(encoding="utf-8"), file.name)]
    assert len(files) > 150
    assert len(rejected) <= 0.02 * len(files), rejected


@pytest.mark.parametrize(
    "text",
    [
        *(
            f"{name}{' ' * 1_900}x"
            for name in ("token", "password:", "secret =", "api_key", "curl -u", "Bearer")
        ),
        f"curl -u {'=' * 1_900}",
        'text = "abc"' + "\n" * 5_000,
        'text = "abc" +' + "\n        " * 3_000,
    ],
    ids=lambda text: text[:14].strip(),
)
def test_much_white_space_holds_nothing_up(text: str) -> None:
    """Where time grows with a power of its length, this takes hours."""
    assert scan(f"{text}\ny = 1\n", "a.py") == ()


def test_lines_are_counted_from_one_and_kinds_once() -> None:
    key = some(string.ascii_uppercase, 16)
    text = f'\na = "AK{"IA" + key}"\nb = "AK{"IA" + key}"\n'
    assert scan(text, "a.py") == (SecretFinding("AWS Access Key", 2),)


def test_values_do_not_leak(caplog: pytest.LogCaptureFixture) -> None:
    value = some(ALNUM, 40)
    caplog.set_level(0)
    findings = scan(f'access_token = "{value}"\n', "a.py")
    assert findings
    assert value not in repr(findings) + caplog.text


@pytest.mark.parametrize(
    "path",
    [
        ".env", "conf/.env.local", ".env.py", "prod.env", "certs/server.pem", "server.key", "id_rsa",
        ".ssh/id_ed25519.pub", "store.p12", "credentials", ".aws/credentials", ".npmrc", ".pypirc", ".netrc",
        "secrets.yaml", "terraform.tfvars", "Server.PEM",
    ],
)  # fmt: skip
def test_files_that_are_secrets_by_name(path: str) -> None:
    assert is_secret_file(path)
    assert scan("", path) == (SecretFinding("secret file name", 0),)


@pytest.mark.parametrize(
    "path", ["credentials.py", "environment.py", "key.go", "src/secrets.rs", "env.ts", "monkey"]
)
def test_files_that_are_code_by_name(path: str) -> None:
    assert not is_secret_file(path)


def test_a_scan_that_breaks_fails_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError

    monkeypatch.setattr(secrets, "_detectors", fail)
    assert scan("x = 1\n", "a.py") == (SecretFinding(SCAN_FAILED, 0),)


def test_long_lines_do_not_hang() -> None:
    for piece in ("key", "a", "password ", "token: ", "a:", "://a", "aws", '"', "key: a"):
        scan(piece * (20_000 // len(piece)), "a.js")


def test_threads_do_not_disturb_each_other(secret_kinds: Any, plant: Any) -> None:
    text = "\n".join(plant(kind, 4).code for kind in secret_kinds)
    expected = scan(text, "a.py")
    results: list[tuple[SecretFinding, ...]] = []
    threads = [
        threading.Thread(target=lambda: results.extend(scan(text, "a.py") for _ in range(10)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 40


def test_nothing_is_sent(secret_kinds: Any, plant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join(plant(kind, 4).code for kind in secret_kinds)
    scan(text, "a.py")  # imports
    sessions = sys.modules["requests.sessions"]
    monkeypatch.setattr(sessions.Session, "request", lambda *_, **__: pytest.fail("a request was sent"))
    assert scan(text, "a.py")
