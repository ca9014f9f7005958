"""Git repositories made object by object, so that every state of one can be had without git; and secrets to plant.

The secrets are made up at run time, so that nothing in this file looks like one.
"""

import base64
import random
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from dulwich.index import commit_tree
from dulwich.objects import Blob, Commit, ObjectID
from dulwich.refs import Ref
from dulwich.repo import Repo

DAY = 24 * 3600
NOW = 1_790_000_000
"""Some time in the past."""

Content = Mapping[str, str | bytes]


class GitRepository:
    """A repository whose commits are whole trees."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root
        self._repo = Repo.init(root)
        self.store = self._repo.object_store

    def commit(self, files: Content, *, days_ago: float = 0.0, parents: Sequence[str] | None = None) -> str:
        """Makes ``files`` the tree of a new commit on top of the current one; the folder stays as it is."""
        blobs = []
        for path, content in files.items():
            blob = Blob.from_string(content if isinstance(content, bytes) else content.encode())
            self.store.add_object(blob)
            blobs.append((path.encode(), blob.id, 0o100644))
        commit = Commit()
        commit.tree = commit_tree(self.store, blobs)
        if parents is None:
            parents = [self.head] if self.head else []
        commit.parents = [ObjectID(parent.encode()) for parent in parents]
        commit.author = commit.committer = b"A <a@example.org>"
        commit.author_time = commit.commit_time = int(NOW - days_ago * DAY)
        commit.author_timezone = commit.commit_timezone = 0
        commit.message = b"x"
        self.store.add_object(commit)
        self._repo.refs[Ref(b"HEAD")] = commit.id
        return commit.id.decode()

    @property
    def head(self) -> str:
        try:
            return self._repo.refs[Ref(b"HEAD")].decode()
        except KeyError:
            return ""

    def write(self, files: Content) -> None:
        """Writes ``files`` to the folder."""
        for path, content in files.items():
            target = self.root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content if isinstance(content, bytes) else content.encode())

    def loose(self, identifier: str) -> Path:
        """The file of an object."""
        return self.root / ".git" / "objects" / identifier[:2] / identifier[2:]

    def pack(self) -> None:
        """Moves all objects into one pack."""
        self.store.pack_loose_objects()

    def close(self) -> None:
        self._repo.close()


@pytest.fixture
def make_git(tmp_path: Path) -> Iterator[Callable[..., GitRepository]]:
    """``make_git(name="repo")``: an empty repository."""
    made: list[GitRepository] = []

    def make(name: str = "repo") -> GitRepository:
        made.append(GitRepository(tmp_path / name))
        return made[-1]

    yield make
    for repository in made:
        repository.close()


@pytest.fixture
def git(make_git: Callable[..., GitRepository]) -> GitRepository:
    """An empty repository."""
    return make_git()


ALNUM = string.ascii_letters + string.digits
LOWER = string.ascii_lowercase + string.digits
UPPER = string.ascii_uppercase + string.digits
DIGITS = string.digits
HEX = "0123456789abcdef"


class Some:
    """Random parts of secrets."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def __call__(self, alphabet: str, length: int) -> str:
        return "".join(self._random.choice(alphabet) for _ in range(length))

    def bytes(self, count: int) -> str:
        """In base64."""
        return base64.b64encode(self._random.randbytes(count)).decode()

    def password(self) -> str:
        """As people are told to make them."""
        return self(ALNUM, 6) + self(DIGITS, 2) + self(ALNUM, 6)

    def jwt(self) -> str:
        parts = (b'{"alg":"HS256"}', f'{{"sub":"{self(ALNUM, 9)}"}}'.encode(), self(ALNUM, 32).encode())
        return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)

    def pem(self) -> str:
        """The lines between those that begin and end a key."""
        return "\n".join(self.bytes(48) for _ in range(6))

    def basic(self) -> str:
        return base64.b64encode(f"bob:{self(ALNUM, 12)}".encode()).decode()


def _key(kind: str, quote: str = '"""') -> str:
    return (
        f"KEY = {quote}-----BEGIN {kind}PRIV"
        + f"ATE KEY-----\n@\n-----END {kind}PRIV"
        + f"ATE KEY-----\n{quote}"
    )


# A statement with ``@`` where the secret stands, and how that is made.
PLANTED: dict[str, tuple[str, Callable[[Some], str]]] = {
    "age": ('open("AGE-SECRET-KEY-@")', lambda some: "1" + some(UPPER, 58)),
    "airtable": ('base("pat@")', lambda some: f"{some(ALNUM, 14)}.{some(HEX, 64)}"),
    "anthropic": ('Client("sk-ant-@")', lambda some: "api03-" + some(ALNUM, 60)),
    "aws id": ('client(id="AK@")', lambda some: "IA" + some(UPPER, 16)),
    "aws key": ('aws_secret_access_key = "@"', lambda some: some(ALNUM + "/+", 40)),
    "azure client": ('login("@")', lambda some: f"{some(ALNUM, 3)}8Q~{some(ALNUM, 34)}"),
    "azure signature": ('get("https://a.blob.core.windows.net/c?sv=1&sig=@")', lambda some: some(ALNUM, 43) + "%3D"),
    "azure storage": ('connect("AccountName=a;AccountKey=@")', lambda some: some.bytes(64)),
    "base64": ('cipher("@")', lambda some: some.bytes(33)),
    "basic auth": ('engine("postgres://app:@@db.internal/main")', lambda some: some(ALNUM, 9)),
    "basic auth in a container": ('engine("postgres://app:@@db/main")', lambda some: some(ALNUM, 9)),
    "basic auth of nobody": ('Redis("redis://:@@cache:6379/0")', lambda some: some(ALNUM, 16)),
    "basic header": ('get(headers={"Authorization": "Basic @"})', lambda some: some.basic()),
    "bcrypt": ('user("bob", "$2b$12$@")', lambda some: some(ALNUM, 53)),
    "bearer": ('get(headers={"Authorization": "Bearer @"})', lambda some: some(ALNUM, 32)),
    "bearer in a command": ("run(\"curl -H 'Authorization: Bearer @' https://x\")", lambda some: some(ALNUM, 32)),
    "c": ('#define DB_PASSWORD "@"', lambda some: some.password()),
    "command": ('run("curl -u admin:@ https://x")', lambda some: some.password()),
    "connection string": ('connect("host=db user=app password=@ dbname=x")', lambda some: some.password()),
    "dictionary": ("config = {'client_secret': '@'}", lambda some: some(ALNUM, 20)),
    "discord": ('run("M@")', lambda some: f"{some(ALNUM, 23)}.{some(ALNUM, 6)}.{some(ALNUM, 27)}"),
    "discord hook": (
        'post("https://discord.com/api/webhooks/@")',
        lambda some: f"{some(DIGITS, 18)}/{some(ALNUM, 68)}",
    ),
    "docker": ('{"auths": {"https://index.docker.io/v1/": {"auth": "@"}}}', lambda some: some.basic()),
    "docker token": ('login("dckr_@")', lambda some: "pat_" + some(ALNUM, 27)),
    "doppler": ('login("dp.pt.@")', lambda some: some(ALNUM, 43)),
    "ec key": (_key("EC "), Some.pem),
    "encrypted key": (_key("ENCRYPTED "), Some.pem),
    "environment default": ('os.environ.get("ACCESS_TOKEN", "@")', lambda some: some(ALNUM, 20)),
    "environment file": ('ENV = """\nDB_PASSWORD=@\nDB_HOST=x\n"""', lambda some: some.password()),
    "github": ('login("gh@")', lambda some: "p_" + some(ALNUM, 36)),
    "github fine-grained": ('login("github@")', lambda some: f"_pat_{some(ALNUM, 22)}_{some(ALNUM, 59)}"),
    "gitlab": ('login("gl@")', lambda some: "pat-" + some(ALNUM, 20)),
    "go": ('dbPassword := "@"', lambda some: some.password()),
    "google": ('maps("AI@")', lambda some: "za" + some(ALNUM, 35)),
    "google oauth": ('login("GOCSPX-@")', lambda some: some(ALNUM, 28)),
    "heroku": (
        'HEROKU_API_KEY = "@"',
        lambda some: "-".join(some(HEX, length) for length in (8, 4, 4, 4, 12)),
    ),
    "hex header": ('{"X-Auth-Key": "@"}', lambda some: some(HEX, 32)),
    "hex key": ('api_token = "@"', lambda some: some(HEX, 40)),
    "hugging face": ('login("h@")', lambda some: "f_" + some(ALNUM, 34)),
    "java setter": ('source.setPassword("@");', lambda some: some.password()),
    "jwt": ('get("/", cookies="@")', Some.jwt),
    "key in an address": ('get("https://api.x.net/v1?api_key=@")', lambda some: some(ALNUM, 32)),
    "kubernetes": ('K = """\n  user:\n    client-key-data: @\n"""', lambda some: some.bytes(90)),
    "kubernetes token": ('K = """\n  user:\n    token: @\n"""', lambda some: some(ALNUM, 40)),
    "mailchimp": ('mail("@")', lambda some: some(HEX, 32) + "-us12"),
    "mailgun": ('mail("key-@")', lambda some: some(HEX, 32)),
    "new relic": ('agent("NRAK-@")', lambda some: some(UPPER, 27)),
    "npm": ('write("//registry.npmjs.org/:_authToken=@")', lambda some: "npm_" + some(ALNUM, 36)),
    "nuget": ('push("oy2@")', lambda some: some(LOWER, 43)),
    "openai": ('OpenAI("sk-@")', lambda some: "proj-" + some(ALNUM, 60)),
    "openrouter": ('OpenAI("sk-or-v1-@")', lambda some: some(HEX, 64)),
    "openssh key": (_key("OPENSSH "), Some.pem),
    "password": ('password = "@"', lambda some: "hunter" + some(DIGITS, 2)),
    "password in a comment": ("# the password is: @", lambda some: some.password()),
    "password with words": ('password = "@"', lambda some: f"no-way-{some(DIGITS, 2)}-in"),
    "php": ("define('DB_PASSWORD', '@');", lambda some: some.password()),
    "postman": ('run("PMAK-@")', lambda some: f"{some(HEX, 24)}-{some(HEX, 34)}"),
    "private key": (_key(""), Some.pem),
    "pulumi": ('up("pul-@")', lambda some: some(HEX, 40)),
    "putty": ('KEY = """PuTTY-User-Key-' + 'File-2: x\n@\n"""', Some.pem),
    "pypi": ('upload("pypi-@")', lambda some: "AgEIcHlwaS5vcmc" + some(ALNUM, 90)),
    "rsa key": (_key("RSA "), Some.pem),
    "rubygems": ('push("rubygems_@")', lambda some: some(HEX, 48)),
    "rust": ('const DB_PASSWORD: &str = "@";', lambda some: some.password()),
    "sendgrid": ('send("S@")', lambda some: f"G.{some(ALNUM, 22)}.{some(ALNUM, 43)}"),
    "slack app": ('Bot("xapp-1-@")', lambda some: f"A{some(UPPER, 10)}-{some(DIGITS, 12)}-{some(HEX, 64)}"),
    "slack bot": ('Bot("xo@")', lambda some: f"xb-{some(DIGITS, 12)}-{some(ALNUM, 24)}"),
    "slack hook": (
        'post("https://hooks.slack.com/services/@")',
        lambda some: f"T{some(UPPER, 8)}/B{some(UPPER, 8)}/{some(ALNUM, 24)}",
    ),
    "stripe": ("stripe.key = 'sk@'", lambda some: "_live_" + some(ALNUM, 24)),
    "supabase": ('login("sbp_@")', lambda some: some(HEX, 40)),
    "telegram": ('bot("@")', lambda some: f"{some('123456789', 10)}:{some(ALNUM, 35)}"),
    "terraform": ('login("@")', lambda some: f"{some(ALNUM, 14)}.atlasv1.{some(ALNUM, 67)}"),
    "token in an address": ('clone("https://@@github.com/a/b.git")', lambda some: some(HEX, 40)),
    "twilio": ('Client("A@")', lambda some: "C" + some(LOWER, 32)),
    "typed password": ('DB_PASSWORD: str = "@"', lambda some: "tr0ub" + some(LOWER, 5)),
    "vault": ('login("hvs.@")', lambda some: some(ALNUM, 90)),
    "wireguard": ('W = """\n[Interface]\nPrivateKey = @\n"""', lambda some: some.bytes(32)),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Planted:
    """A statement that holds a secret."""

    code: str
    value: str
    """The secret, as it stands in ``code``."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests that ask for ``secret_kind`` run once for each."""
    if "secret_kind" in metafunc.fixturenames:
        metafunc.parametrize("secret_kind", PLANTED)


@pytest.fixture
def plant() -> Callable[[str, int], Planted]:
    """``plant(kind, seed)``: a statement with a secret of this kind."""

    def make(kind: str, seed: int) -> Planted:
        code, value = PLANTED[kind][0], PLANTED[kind][1](Some(seed))
        return Planted(code.replace("@", value, 1), value)

    return make


@pytest.fixture
def secret_kinds() -> tuple[str, ...]:
    """Of ``plant``."""
    return tuple(PLANTED)
