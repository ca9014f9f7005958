"""Finds secrets in source text, so that no file with one is ever learned.

The detectors are those of ``detect-secrets``, used as objects: its settings are global to the process and its
verification calls servers, so neither is touched. What it lacks (newer token formats, typed assignments) is a
table here. Fails closed: a scan that breaks counts as a finding. Values are never kept or logged; only ``values``
hands them out, for comparison in memory.
"""

import functools
import logging
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import PurePosixPath
from typing import Any

from tailora_adapters import languages

__all__ = ["SCAN_FAILED", "SecretFinding", "is_secret_file", "looks_generated", "scan", "values"]

_log = logging.getLogger(__name__)

SCAN_FAILED = "secret scan failed"
"""``kind`` of the finding that stands for a scan that broke."""


@dataclass(frozen=True, slots=True)
class SecretFinding:
    """Something that looks like a secret; what it is stays in the file."""

    kind: str
    line: int
    """From 1; 0 where the whole file is meant."""


_SECRET_FILES = (
    ".env", ".env.*", "*.env", ".envrc", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx",
    "*.ppk", "*.asc", "*.gpg", "*.ovpn", "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "credentials",
    "credentials.json", "credentials.yml", "credentials.yaml", "client_secret*.json", "service-account*.json",
    "secrets.yml", "secrets.yaml", "secrets.toml", "secrets.json", "*.tfvars", "*.tfstate", ".npmrc",
    ".pypirc", ".netrc", "_netrc", ".pgpass", ".my.cnf", ".htpasswd", ".dockercfg", ".git-credentials",
)  # fmt: skip

_SPECIFIC = (
    "aws.AWSKeyDetector",
    "azure_storage_key.AzureStorageKeyDetector",
    "discord.DiscordBotTokenDetector",
    "github_token.GitHubTokenDetector",
    "gitlab_token.GitLabTokenDetector",
    "mailchimp.MailchimpDetector",
    "openai.OpenAIDetector",
    "private_key.PrivateKeyDetector",
    "pypi_token.PypiTokenDetector",
    "sendgrid.SendGridDetector",
    "slack.SlackDetector",
    "square_oauth.SquareOAuthDetector",
    "stripe.StripeDetector",
    "telegram_token.TelegramBotTokenDetector",
    "twilio.TwilioKeyDetector",
)
"""Detectors whose patterns alone are proof enough."""

_VAGUE = (
    "artifactory.ArtifactoryDetector",
    "cloudant.CloudantDetector",
    "ibm_cloud_iam.IbmCloudIamDetector",
    "ibm_cos_hmac.IbmCosHmacDetector",
    "softlayer.SoftlayerDetector",
)
"""Detectors that are slow and that ordinary long names match, too: only for lines with a long word."""

_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    # Each begins with a literal, which makes the search fast.
    ("Age Secret Key", re.compile(r"AGE-SECRET-KEY-1[0-9A-Z]{58}")),
    ("Anthropic Key", re.compile(r"sk-ant-[\w-]{20,}")),
    ("Azure Access Key", re.compile(r"SharedAccessKey=[A-Za-z0-9+/]{40,}={0,2}")),
    ("Databricks Token", re.compile(r"dapi[0-9a-f]{32}")),
    ("DigitalOcean Token", re.compile(r"do[opr]_v1_[0-9a-f]{64}")),
    ("GitHub Token", re.compile(r"github_pat_\w{60,}")),
    ("Google API Key", re.compile(r"AIza[\w-]{35}")),
    ("Google OAuth Secret", re.compile(r"GOCSPX-[\w-]{28}")),
    ("Google OAuth Token", re.compile(r"ya29\.[\w-]{40,}")),
    ("Hugging Face Token", re.compile(r"hf_[A-Za-z0-9]{34,}")),
    ("npm Token", re.compile(r"npm_[A-Za-z0-9]{36}")),
    ("npm Credentials", re.compile(r":_(?:authToken|auth|password)=\s*[\w+/=-]{16,}")),
    ("OpenAI Key", re.compile(r"sk-(?:(?:proj|svcacct|admin)-[\w-]{40,}|[A-Za-z0-9]{48})")),
    ("Private Key", re.compile(r"BEGIN (?:[A-Z]+ )*PRIVATE KEY")),
    ("PuTTY Key", re.compile(r"PuTTY-User-Key-File-")),
    ("Shopify Token", re.compile(r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}")),
    ("Slack Token", re.compile(r"xox[bceprs]-[A-Za-z0-9-]{20,}")),
    ("Slack App Token", re.compile(r"xapp-\d-[A-Z0-9]+-\d+-[0-9a-f]{32,}")),
    ("Stripe Key", re.compile(r"[rs]k_(?:live|test)_[0-9a-zA-Z]{24,}")),
    ("Stripe Webhook Secret", re.compile(r"whsec_[0-9a-zA-Z]{24,}")),
    ("Vault Token", re.compile(r"hv[sbr]\.[\w-]{24,}")),
)

_NAME_PARTS = ("pass", "pwd", "secret", "token", "credential", "bearer", "authorization", "key", "contrase")
"""One of these is in every line that names a secret."""
_NAMES = (
    r"pass(?:wor[dt]|wd|phrase)|pwd|secret|token|credential|bearer|authorization|"
    r"(?:api|access|auth|account|service|client|private|encryption|signing|db|database|master)[_-]?key"
)
_ASSIGNED = re.compile(
    rf"""(?:{_NAMES})[\w-]*["'\])]{{0,3}}            # the name, maybe quoted or in brackets
    \s*(?::\s*[\w.\[\]|&<>?,'\ ]{{1,40}}?)?\s*       # a type annotation
    (?::=|=>|==|[:=,])\s*[rbuRBU@&]{{0,2}}           # assignment, dictionary item or argument
    (?P<quote>["'`])(?:Bearer\s+|Basic\s+|token\s+)?(?P<value>[^"'`\n\\]{{12,200}})(?P=quote)""",
    re.IGNORECASE | re.VERBOSE,
)
_TYPED = re.compile(r"(?<=[\w\"'])\s*:\s*[\w.\[\]|&<>?, ]{1,40}?\s*=(?!=)|:=")
"""``: str =`` and ``:=``, read as ``=``."""
_LONG_WORD = re.compile(r"[\w-]{24,}")
_KEY_BODY = re.compile(r"BEGIN[^\n]*(?:\n(?![^\n]*END )[^\n]*){0,200}")
"""A private key from its heading to the line before its end."""
_HINT = re.compile(rf"{_NAMES}|key\b|\bauth|\bsalt\b", re.IGNORECASE)
_DIGEST = re.compile(
    r"sha-?\d|md5|blake|hash|digest|checksum|commit|revision|\brev\b|etag|integrity", re.IGNORECASE
)
_FILE_NAME = re.compile(r"\.{1,2}/.*|[\w./-]+\.[a-z]{1,4}")
_PLACEHOLDER = re.compile(
    r"""(?: .{0,5}
    | (?:my|your|the|a|some|test|fake|dummy|sample|example|default|new|old|invalid|wrong|bad|user)?
      [-_ .]?
      (?:pass(?:word|wd)?|pwd|secret|token|(?:api[-_ ]?)?key|credentials?|value|string|user(?:name)?|required
        |optional|hidden|test(?:ing)?|example|changeme|placeholder|redacted|undefined|postgres|guest|admin|root
        |foo(?:bar)?|bar|baz)
      [-_ .]?(?:key|here|\d{0,3}|123456?)?
    | (?:x{3,}|\*{3,}|\.{3,}).* | .*(?:example|your[-_]).* | .*\.{3}
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_PROSE = re.compile(
    r"\b(?:the|your|a|an|is|are|for|to|of|with|not|no|must|enter|please|and|or|in)\b", re.IGNORECASE
)
_WORDS = re.compile(r"[A-Z]?[a-z]{3,}|[A-Z]{4,}")
_BASIC_AUTH = re.compile(
    r"://(?P<user>[^\s:/?#@\"'`<>{}$]{1,100}):(?P<value>[^\s:/?#@\"'`<>{}$]{1,200})@(?P<host>[\w.-]+)"
)
_NO_HOST = re.compile(r"(?:.*\.)?example(?:\.\w+)?|host(?:name)?(?:\.\w+)?|server|proxy-host", re.IGNORECASE)


def is_secret_file(path: str) -> bool:
    """Whether a file is a secret by its name alone. ``path`` is relative, with ``/``."""
    name = PurePosixPath(path).name.lower()
    if languages.by_path(name) is not None:  # such as ``credentials.py``, which is code
        name = name if name.startswith(".env") else ""
    return any(fnmatchcase(name, pattern) for pattern in _SECRET_FILES)


def scan(text: str, path: str) -> tuple[SecretFinding, ...]:
    """Everything in ``text`` that looks like a secret, at most one finding for each kind; never raises.

    Safe to call from several threads. A file with a finding should be left out as a whole.
    """
    try:
        if is_secret_file(path):
            return (SecretFinding("secret file name", 0),)
        findings: dict[str, int] = {}
        for kind, position, _ in _in_text(text):
            findings.setdefault(kind, text.count("\n", 0, position) + 1)
        for number, line in enumerate(text.split("\n"), start=1):
            for kind, _ in _in_line(line, path.endswith(_SHELL)):
                findings.setdefault(kind, number)
        return tuple(SecretFinding(kind, line) for kind, line in findings.items())
    except Exception as error:  # noqa: BLE001  whatever breaks in a detector, the file must not be learned
        _log.warning("%s is left out, its scan for secrets failed: %s", path, type(error).__name__)
        return (SecretFinding(SCAN_FAILED, 0),)


def values(text: str, path: str) -> Iterator[str]:
    """What ``scan`` finds in ``text``, and what a file that is a secret by its name holds: to compare, never to keep.

    Raises whatever a detector raises: a caller who cannot know all secrets must not learn.
    """
    named = is_secret_file(path)
    for _, _, value in _in_text(text):
        yield value
    for line in text.split("\n"):
        for _, value in _in_line(line, named or path.endswith(_SHELL)):
            yield value
    if named:
        yield from _LONG_WORD.findall(text)


def _in_text(text: str) -> Iterator[tuple[str, int, str]]:
    """Kinds, character offsets and values found by patterns over the whole text, the fast way."""
    detectors = _detectors()
    for kind, pattern in (*_PATTERNS, *detectors.specific):
        for match in pattern.finditer(text):
            whole = _KEY_BODY.match(text, match.start()) or match
            yield kind, match.start(), whole[0]
    for match in detectors.jwt.denylist[0].finditer(text):
        if detectors.jwt.is_formally_valid(match[0]):
            yield detectors.jwt.secret_type, match.start(), match[0]
    yield from _basic_auth(text)
    yield from _random_strings(text)


def _in_line(line: str, unquoted: bool) -> Iterator[tuple[str, str]]:
    """Kinds and values found in a line by what is around a value: its name, its length.

    ``unquoted``: values need no quotes, as in shell scripts.
    """
    detectors = _detectors()
    if _LONG_WORD.search(line):
        for kind, pattern in detectors.vague:
            for match in pattern.finditer(line):
                if not _wordy(match[0]):
                    yield kind, match[0]
    lower = line.lower()
    if not any(part in lower for part in _NAME_PARTS):
        return
    for match in _ASSIGNED.finditer(line):
        value = match["value"]
        if looks_generated(value) and not (_harmless(value) or _PLACEHOLDER.fullmatch(value)):
            yield "Assigned Secret", value
    plain = _TYPED.sub("=", line)
    found = list(detectors.keyword.analyze_string(plain))
    if unquoted:
        found += [value.split()[0] for value in detectors.keyword.analyze_string(plain, detectors.unquoted)]
    for value in found:
        if _looks_chosen(value):
            yield detectors.keyword.secret_type, value


def _basic_auth(text: str) -> Iterator[tuple[str, int, str]]:
    for match in _BASIC_AUTH.finditer(text):
        user, value, host = match["user"], match["value"], match["host"]
        if not (
            _PLACEHOLDER.fullmatch(value) or value == user or value[0] == "%" or _NO_HOST.fullmatch(host)
        ):
            yield "Basic Auth Credentials", match.start(), value


def _random_strings(text: str) -> Iterator[tuple[str, int, str]]:
    detectors = _detectors()
    for match in detectors.base64.regex.finditer(text):
        value = match[2]
        if len(value) < 20 or value.startswith(("sha256-", "sha384-", "sha512-")) or set(value) <= _HEX:
            continue
        if _entropy(value) > detectors.base64.entropy_limit and not (_wordy(value) or _harmless(value)):
            yield detectors.base64.secret_type, match.start(), value
    for match in detectors.hex.regex.finditer(text):
        value = match[2]
        if len(value) < 24 or _entropy(value) <= detectors.hex.entropy_limit or _harmless(value):
            continue
        # Most are digests and commits: only a name like that of a key before it makes one a secret.
        before = text[max(0, match.start() - 48) : match.start()].rpartition("\n")[2]
        if _HINT.search(before) and not _DIGEST.search(before):
            yield detectors.hex.secret_type, match.start(), value


def looks_generated(value: str, bits: float = 3.0) -> bool:
    """Whether a string reads like a generated token. ``bits``: least entropy a character where it has digits."""
    if " " in value or _wordy(value, 0.75) or _FILE_NAME.fullmatch(value):
        return False
    digit = any(character.isdigit() for character in value)
    mixed = any(character.isupper() for character in value) and any(
        character.islower() for character in value
    )
    return (digit and _entropy(value) > bits) or (mixed and len(value) >= 16 and _entropy(value) > 3.5)


def _looks_chosen(value: str) -> bool:
    """Whether the value of something called a password could be one that is used."""
    if _PLACEHOLDER.fullmatch(value) or _harmless(value) or (" " in value and _PROSE.search(value)):
        return False
    if re.search(r"\d", value) or re.search(r"[!#$%^&*+~]", value):
        return not re.fullmatch(r"[%$]\w.*|.*[({\[<].*", value)  # a format, a call, a type
    if re.search(r"[\s_./:-]", value):  # a name, a path, a label
        return " " in value and value.islower() and len(value.split()) > 2
    return len(value) >= 8 and not re.search(_NAMES, value, re.IGNORECASE)


def _harmless(value: str) -> bool:
    return any(check(value) for check in _detectors().harmless)


def _wordy(value: str, share: float = 0.6) -> bool:
    """Whether more than ``share`` of a string is made of words, as in names and paths."""
    return sum(len(word) for word in _WORDS.findall(value)) > share * len(value)


def _entropy(value: str) -> float:
    """Shannon entropy in bits a character."""
    counts = [value.count(character) / len(value) for character in set(value)]
    return -sum(share * math.log2(share) for share in counts)


_HEX = frozenset("0123456789abcdefABCDEF")
_SHELL = tuple(
    suffix for language in languages.LANGUAGES if language.id == "shellscript" for suffix in language.suffixes
)


@dataclass(frozen=True, slots=True)
class _Detectors:
    """Objects of ``detect-secrets``; all are used read-only."""

    specific: tuple[tuple[str, re.Pattern[str]], ...]
    vague: tuple[tuple[str, re.Pattern[str]], ...]
    jwt: Any
    base64: Any
    hex: Any
    keyword: Any
    unquoted: dict[re.Pattern[str], int]
    harmless: tuple[Callable[[str], bool], ...]


@functools.cache
def _detectors() -> _Detectors:
    """Imported on first use: 0.2 s, mostly for an HTTP client that is never called."""

    def plugin(name: str) -> Any:
        module, _, cls = name.rpartition(".")
        return getattr(import_module(f"detect_secrets.plugins.{module}"), cls)()

    def patterns(names: tuple[str, ...]) -> tuple[tuple[str, re.Pattern[str]], ...]:
        return tuple((one.secret_type, pattern) for one in map(plugin, names) for pattern in one.denylist)

    keyword = import_module("detect_secrets.plugins.keyword")
    heuristic = import_module("detect_secrets.filters.heuristic")
    return _Detectors(
        specific=patterns(_SPECIFIC),
        vague=patterns(_VAGUE),
        jwt=plugin("jwt.JwtTokenDetector"),
        base64=plugin("high_entropy_strings.Base64HighEntropyString"),
        hex=plugin("high_entropy_strings.HexHighEntropyString"),
        keyword=plugin("keyword.KeywordDetector"),
        unquoted={keyword.FOLLOWED_BY_EQUAL_SIGNS_REGEX: 5},
        harmless=(
            heuristic.is_sequential_string,
            heuristic.is_potential_uuid,
            heuristic.is_templated_secret,
            heuristic.is_prefixed_with_dollar_sign,
            heuristic.is_not_alphanumeric_string,
        ),
    )
