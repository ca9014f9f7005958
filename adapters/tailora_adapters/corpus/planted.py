"""Secrets of many kinds, made up at run time, to be planted where one wants to see that they are found and left out.

For ``tailora eval gate`` and for tests. Nothing in this file looks like a secret itself. Knows nothing of how secrets
are found.
"""

import base64
import random
import string
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["KINDS", "Planted", "plant"]

_ALNUM = string.ascii_letters + string.digits
_LOWER = string.ascii_lowercase + string.digits
_UPPER = string.ascii_uppercase + string.digits
_DIGITS = string.digits
_HEX = "0123456789abcdef"


class _Some:
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
        return self(_ALNUM, 6) + self(_DIGITS, 2) + self(_ALNUM, 6)

    def jwt(self) -> str:
        parts = (b'{"alg":"HS256"}', f'{{"sub":"{self(_ALNUM, 9)}"}}'.encode(), self(_ALNUM, 32).encode())
        return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)

    def pem(self) -> str:
        """The lines between those that begin and end a key."""
        return "\n".join(self.bytes(48) for _ in range(6))

    def basic(self) -> str:
        return base64.b64encode(f"bob:{self(_ALNUM, 12)}".encode()).decode()


def _key(kind: str, quote: str = '"""') -> str:
    return (
        f"KEY = {quote}-----BEGIN {kind}PRIV"
        + f"ATE KEY-----\n@\n-----END {kind}PRIV"
        + f"ATE KEY-----\n{quote}"
    )


# A statement with ``@`` where the secret stands, and how that is made.
_STATEMENTS: dict[str, tuple[str, Callable[[_Some], str]]] = {
    "age": ('open("AGE-SECRET-KEY-@")', lambda some: "1" + some(_UPPER, 58)),
    "airtable": ('base("pat@")', lambda some: f"{some(_ALNUM, 14)}.{some(_HEX, 64)}"),
    "anthropic": ('Client("sk-ant-@")', lambda some: "api03-" + some(_ALNUM, 60)),
    "aws id": ('client(id="AK@")', lambda some: "IA" + some(_UPPER, 16)),
    "aws key": ('aws_secret_access_key = "@"', lambda some: some(_ALNUM + "/+", 40)),
    "azure client": ('login("@")', lambda some: f"{some(_ALNUM, 3)}8Q~{some(_ALNUM, 34)}"),
    "azure signature": ('get("https://a.blob.core.windows.net/c?sv=1&sig=@")', lambda some: some(_ALNUM, 43) + "%3D"),
    "azure storage": ('connect("AccountName=a;AccountKey=@")', lambda some: some.bytes(64)),
    "base64": ('cipher("@")', lambda some: some.bytes(33)),
    "basic auth": ('engine("postgres://app:@@db.internal/main")', lambda some: some(_ALNUM, 9)),
    "basic auth in a container": ('engine("postgres://app:@@db/main")', lambda some: some(_ALNUM, 9)),
    "basic auth of nobody": ('Redis("redis://:@@cache:6379/0")', lambda some: some(_ALNUM, 16)),
    "basic header": ('get(headers={"Authorization": "Basic @"})', lambda some: some.basic()),
    "bcrypt": ('user("bob", "$2b$12$@")', lambda some: some(_ALNUM, 53)),
    "bearer": ('get(headers={"Authorization": "Bearer @"})', lambda some: some(_ALNUM, 32)),
    "bearer in a command": ("run(\"curl -H 'Authorization: Bearer @' https://x\")", lambda some: some(_ALNUM, 32)),
    "c": ('#define DB_PASSWORD "@"', lambda some: some.password()),
    "command": ('run("curl -u admin:@ https://x")', lambda some: some.password()),
    "connection string": ('connect("host=db user=app password=@ dbname=x")', lambda some: some.password()),
    "dictionary": ("config = {'client_secret': '@'}", lambda some: some(_ALNUM, 20)),
    "discord": ('run("M@")', lambda some: f"{some(_ALNUM, 23)}.{some(_ALNUM, 6)}.{some(_ALNUM, 27)}"),
    "discord hook": (
        'post("https://discord.com/api/webhooks/@")',
        lambda some: f"{some(_DIGITS, 18)}/{some(_ALNUM, 68)}",
    ),
    "docker": ('{"auths": {"https://index.docker.io/v1/": {"auth": "@"}}}', lambda some: some.basic()),
    "docker token": ('login("dckr_@")', lambda some: "pat_" + some(_ALNUM, 27)),
    "doppler": ('login("dp.pt.@")', lambda some: some(_ALNUM, 43)),
    "ec key": (_key("EC "), _Some.pem),
    "encrypted key": (_key("ENCRYPTED "), _Some.pem),
    "environment default": ('os.environ.get("ACCESS_TOKEN", "@")', lambda some: some(_ALNUM, 20)),
    "environment file": ('ENV = """\nDB_PASSWORD=@\nDB_HOST=x\n"""', lambda some: some.password()),
    "github": ('login("gh@")', lambda some: "p_" + some(_ALNUM, 36)),
    "github fine-grained": ('login("github@")', lambda some: f"_pat_{some(_ALNUM, 22)}_{some(_ALNUM, 59)}"),
    "gitlab": ('login("gl@")', lambda some: "pat-" + some(_ALNUM, 20)),
    "go": ('dbPassword := "@"', lambda some: some.password()),
    "google": ('maps("AI@")', lambda some: "za" + some(_ALNUM, 35)),
    "google oauth": ('login("GOCSPX-@")', lambda some: some(_ALNUM, 28)),
    "heroku": (
        'HEROKU_API_KEY = "@"',
        lambda some: "-".join(some(_HEX, length) for length in (8, 4, 4, 4, 12)),
    ),
    "hex header": ('{"X-Auth-Key": "@"}', lambda some: some(_HEX, 32)),
    "hex key": ('api_token = "@"', lambda some: some(_HEX, 40)),
    "hugging face": ('login("h@")', lambda some: "f_" + some(_ALNUM, 34)),
    "java setter": ('source.setPassword("@");', lambda some: some.password()),
    "jwt": ('get("/", cookies="@")', _Some.jwt),
    "key in an address": ('get("https://api.x.net/v1?api_key=@")', lambda some: some(_ALNUM, 32)),
    "kubernetes": ('K = """\n  user:\n    client-key-data: @\n"""', lambda some: some.bytes(90)),
    "kubernetes token": ('K = """\n  user:\n    token: @\n"""', lambda some: some(_ALNUM, 40)),
    "mailchimp": ('mail("@")', lambda some: some(_HEX, 32) + "-us12"),
    "mailgun": ('mail("key-@")', lambda some: some(_HEX, 32)),
    "new relic": ('agent("NRAK-@")', lambda some: some(_UPPER, 27)),
    "npm": ('write("//registry.npmjs.org/:_authToken=@")', lambda some: "npm_" + some(_ALNUM, 36)),
    "nuget": ('push("oy2@")', lambda some: some(_LOWER, 43)),
    "openai": ('OpenAI("sk-@")', lambda some: "proj-" + some(_ALNUM, 60)),
    "openrouter": ('OpenAI("sk-or-v1-@")', lambda some: some(_HEX, 64)),
    "openssh key": (_key("OPENSSH "), _Some.pem),
    "password": ('password = "@"', lambda some: "hunter" + some(_DIGITS, 2)),
    "password in a comment": ("# the password is: @", lambda some: some.password()),
    "password with words": ('password = "@"', lambda some: f"no-way-{some(_DIGITS, 2)}-in"),
    "php": ("define('DB_PASSWORD', '@');", lambda some: some.password()),
    "postman": ('run("PMAK-@")', lambda some: f"{some(_HEX, 24)}-{some(_HEX, 34)}"),
    "private key": (_key(""), _Some.pem),
    "pulumi": ('up("pul-@")', lambda some: some(_HEX, 40)),
    "putty": ('KEY = """PuTTY-User-Key-' + 'File-2: x\n@\n"""', _Some.pem),
    "pypi": ('upload("pypi-@")', lambda some: "AgEIcHlwaS5vcmc" + some(_ALNUM, 90)),
    "rsa key": (_key("RSA "), _Some.pem),
    "rubygems": ('push("rubygems_@")', lambda some: some(_HEX, 48)),
    "rust": ('const DB_PASSWORD: &str = "@";', lambda some: some.password()),
    "sendgrid": ('send("S@")', lambda some: f"G.{some(_ALNUM, 22)}.{some(_ALNUM, 43)}"),
    "slack app": ('Bot("xapp-1-@")', lambda some: f"A{some(_UPPER, 10)}-{some(_DIGITS, 12)}-{some(_HEX, 64)}"),
    "slack bot": ('Bot("xo@")', lambda some: f"xb-{some(_DIGITS, 12)}-{some(_ALNUM, 24)}"),
    "slack hook": (
        'post("https://hooks.slack.com/services/@")',
        lambda some: f"T{some(_UPPER, 8)}/B{some(_UPPER, 8)}/{some(_ALNUM, 24)}",
    ),
    "stripe": ("stripe.key = 'sk@'", lambda some: "_live_" + some(_ALNUM, 24)),
    "supabase": ('login("sbp_@")', lambda some: some(_HEX, 40)),
    "telegram": ('bot("@")', lambda some: f"{some('123456789', 10)}:{some(_ALNUM, 35)}"),
    "terraform": ('login("@")', lambda some: f"{some(_ALNUM, 14)}.atlasv1.{some(_ALNUM, 67)}"),
    "token in an address": ('clone("https://@@github.com/a/b.git")', lambda some: some(_HEX, 40)),
    "twilio": ('Client("A@")', lambda some: "C" + some(_LOWER, 32)),
    "typed password": ('DB_PASSWORD: str = "@"', lambda some: "tr0ub" + some(_LOWER, 5)),
    "vault": ('login("hvs.@")', lambda some: some(_ALNUM, 90)),
    "wireguard": ('W = """\n[Interface]\nPrivateKey = @\n"""', lambda some: some.bytes(32)),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Planted:
    """A statement that holds a secret."""

    code: str
    value: str
    """The secret, as it stands in ``code``."""


KINDS = tuple(_STATEMENTS)
"""Names of the kinds."""


def plant(kind: str, seed: int) -> Planted:
    """A statement with a secret of this kind, another one for every seed.

    Raises:
        KeyError: there is no such kind.
    """
    code, make = _STATEMENTS[kind]
    value = make(_Some(seed))
    return Planted(code.replace("@", value, 1), value)
