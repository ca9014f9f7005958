"""What secrets look like: the tables of ``corpus.secrets``, which says how they are used.

Invariant: white space of any length costs time in proportion. Where two repeats meet that both take it, the first is
possessive (``*+``: it gives nothing back).
"""

import re

__all__ = [
    "ASSIGNED",
    "BARE",
    "BASE64_LINES",
    "BASIC_AUTH",
    "CREDENTIALS",
    "DIGEST",
    "EXPRESSION",
    "FILES",
    "FILE_NAME",
    "HINT",
    "JOINED",
    "JOINT",
    "KEY_BODY",
    "LONG_WORD",
    "NAMES",
    "NAME_PARTS",
    "NO_HOST",
    "PLACEHOLDER",
    "PREFIX",
    "PROSE",
    "PUBLIC",
    "SEAMS",
    "SPECIFIC",
    "TOKENS",
    "TYPED",
    "VAGUE",
    "WORDS",
]

FILES = (
    ".env", ".env.*", "*.env", ".envrc", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx",
    "*.ppk", "*.asc", "*.gpg", "*.ovpn", "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "credentials",
    "credentials.json", "credentials.yml", "credentials.yaml", "client_secret*.json", "service-account*.json",
    "secrets.yml", "secrets.yaml", "secrets.toml", "secrets.json", "*.tfvars", "*.tfstate", ".npmrc",
    ".pypirc", ".netrc", "_netrc", ".pgpass", ".my.cnf", ".htpasswd", ".dockercfg", ".git-credentials",
)  # fmt: skip

SPECIFIC = (
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

VAGUE = (
    "artifactory.ArtifactoryDetector",
    "cloudant.CloudantDetector",
    "ibm_cloud_iam.IbmCloudIamDetector",
    "ibm_cos_hmac.IbmCosHmacDetector",
    "softlayer.SoftlayerDetector",
)
"""Detectors that are slow and that ordinary long names match, too: only for lines with a long word."""

TOKENS: tuple[tuple[str, re.Pattern[str]], ...] = (
    # Most begin with a literal, which makes the search fast.
    ("Age Secret Key", re.compile(r"AGE-SECRET-KEY-1[0-9A-Z]{58}")),
    ("Airtable Token", re.compile(r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}")),
    ("Anthropic Key", re.compile(r"sk-ant-[\w-]{20,}")),
    ("Azure Access Key", re.compile(r"SharedAccessKey=[A-Za-z0-9+/]{40,}={0,2}")),
    ("Azure Client Secret", re.compile(r"Q~(?<=[\w~.]{3}\dQ~)[\w~.-]{31,}")),
    ("Azure Signature", re.compile(r"[?&]sig=[\w%]{43,}")),
    ("Bcrypt Hash", re.compile(r"\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}")),
    ("Crates Token", re.compile(r"cio(?<![\w-]cio)[A-Za-z0-9]{32}(?![\w-])")),
    ("Crypt Hash", re.compile(r"\$(?:apr1|1|5|6|y)\$[^\s$\"'`]{1,40}\$[./A-Za-z0-9]{22,}")),
    ("Databricks Token", re.compile(r"dapi[0-9a-f]{32}")),
    ("DigitalOcean Token", re.compile(r"do[opr]_v1_[0-9a-f]{64}")),
    ("Discord Webhook", re.compile(r"/api/webhooks/\d{17,}/[\w-]{60,}")),
    ("Docker Credentials", re.compile(r""""auth"\s*:\s*f?"[A-Za-z0-9+/]{12,}={0,2}\"""")),
    ("Docker Token", re.compile(r"dckr_[po]at_[\w-]{20,}")),
    ("Doppler Token", re.compile(r"dp\.(?:pt|st|ct|sa|scim|audit)\.[\w.-]{40,}")),
    ("GitHub Token", re.compile(r"github_pat_\w{60,}")),
    ("Google API Key", re.compile(r"AIza[\w-]{35}")),
    ("Google OAuth Secret", re.compile(r"GOCSPX-[\w-]{28}")),
    ("Google OAuth Token", re.compile(r"ya29\.[\w-]{40,}")),
    (
        "Heroku Key",
        re.compile(
            r"""HEROKU_\w+["'\])]{0,2}\s*[=:,]\s*f?["']?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"""
        ),
    ),
    ("Hugging Face Token", re.compile(r"hf_[A-Za-z0-9]{34,}")),
    ("Kubernetes Client Key", re.compile(r"client-key-data[\"']?\s*:\s*[\"']?[A-Za-z0-9+/]{40,}")),
    ("Mailgun Key", re.compile(r"key-(?<![\w-]key-)[0-9a-f]{32}(?![\w-])")),
    ("New Relic Key", re.compile(r"NRAK-[A-Z0-9]{27}")),
    ("npm Credentials", re.compile(r":_(?:authToken|auth|password)=\s*[\w+/=-]{16,}")),
    ("npm Token", re.compile(r"npm_[A-Za-z0-9]{36}")),
    ("NuGet Key", re.compile(r"oy2(?<![\w-]oy2)[a-z0-9]{43}(?![\w-])")),
    ("OpenAI Key", re.compile(r"sk-(?:(?:proj|svcacct|admin)-[\w-]{40,}|[A-Za-z0-9]{48})")),
    ("OpenRouter Key", re.compile(r"sk-or-v1-[0-9a-f]{64}")),
    ("Postman Key", re.compile(r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}")),
    ("Private Key", re.compile(r"BEGIN (?:[A-Z]+ )*PRIVATE KEY")),
    ("Pulumi Token", re.compile(r"pul-[0-9a-f]{40}")),
    ("PuTTY Key", re.compile(r"PuTTY-User-Key-File-")),
    ("RubyGems Key", re.compile(r"rubygems_[0-9a-f]{48}")),
    ("Shopify Token", re.compile(r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}")),
    ("Slack App Token", re.compile(r"xapp-\d-[A-Z0-9]+-\d+-[0-9a-f]{32,}")),
    ("Slack Token", re.compile(r"xox[bceprs]-[A-Za-z0-9-]{20,}")),
    ("Stripe Key", re.compile(r"[rs]k_(?:live|test)_[0-9a-zA-Z]{24,}")),
    ("Stripe Webhook Secret", re.compile(r"whsec_[0-9a-zA-Z]{24,}")),
    ("Supabase Token", re.compile(r"sbp_[0-9a-f]{40}")),
    ("Teams Webhook", re.compile(r"webhookb2/[^\s\"'`]{1,300}/IncomingWebhook/[0-9a-f]{32}")),
    ("Terraform Token", re.compile(r"\.atlasv1\.[\w-]{60,}")),
    ("Vault Token", re.compile(r"hv[sbr]\.[\w-]{24,}")),
    ("WireGuard Key", re.compile(r"(?:PrivateKey|PresharedKey)\s*=\s*[A-Za-z0-9+/]{43}=")),
)

NAME_PARTS = ("pass", "pwd", "secret", "token", "credential", "bearer", "authorization", "key", "contrase")
"""One of these is in every line that names a secret."""
NAMES = (
    r"pass(?:wor[dt]|wd|phrase)|pwd|secret|token|credential|bearer|authorization|"
    r"(?:api|access|auth|account|service|client|private|encryption|signing|db|database|master)[_-]?key"
)
ASSIGNED = re.compile(
    rf"""(?:{NAMES})[\w-]{{0,60}}["'\])]{{0,3}}            # the name, maybe quoted or in brackets
    \s*+(?::\s*+[\w.\[\]|&<>?,'\ ]{{1,40}}?)?\s*+       # a type annotation
    (?::=|=>|==|[:=,(]|(?<=\s))\s*+\(?\s*+&?  # assignment, dictionary item, argument, macro, setter
    (?P<quote>["'`])(?:(?:Bearer|Basic|token)\s++)?(?P<value>[^"'`\n\\{{]{{10,200}})(?P=quote)""",
    re.IGNORECASE | re.VERBOSE,
)
BARE = re.compile(
    rf"""(?:{NAMES})[\w-]{{0,60}}(?:\s++is)?\s*+[:=]\s*+
    (?P<value>[^\s"'`,;()\[\]{{}}<>&|\\]{{10,200}})(?=[\s"'`&;\\]|$)""",
    re.IGNORECASE | re.VERBOSE,
)
"""Without quotes of its own: in comments, addresses, connection strings, settings inside a string."""
SEAMS = re.compile(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[A-Z])(?=[a-z0-9])|(?<=[0-9])(?=[a-zA-Z])")
"""Where one kind of character follows another."""
EXPRESSION = re.compile(
    r"^(?:0[xX]|[-+]?\d+(?:[.eE_]|$)|[%$@#/.~]|<)|[$%]\{|->|::|==|\w\.[A-Za-z_]|\*\w|[:=]$|^[a-z]+(?:_[a-z0-9]+)+$"
)
"""Numbers, names of several words, attributes, formats, paths."""
PREFIX = re.compile(r"""(?<![\w"'`])[rbufRBUFL@$]{1,2}(?=["'`])""")
"""Of a string."""
TYPED = re.compile(r"(?<=[\w\"'])\s*+:\s*+[\w.\[\]|&<>?, ]{1,40}?\s*+=(?!=)|:=")
"""``: str =`` and ``:=``, read as ``=``."""
LONG_WORD = re.compile(r"[\w-]{24,}")
KEY_BODY = re.compile(r"BEGIN[^\n]*(?:\n(?![^\n]*END )[^\n]*){0,200}")
"""A private key from its heading to the line before its end."""
HINT = re.compile(rf"{NAMES}|key\b|\bauth|\bsalt\b", re.IGNORECASE)
DIGEST = re.compile(
    r"sha-?\d|md5|blake|hash|digest|checksum|commit|revision|\brev\b|etag|integrity", re.IGNORECASE
)
FILE_NAME = re.compile(r"\.{1,2}/.*|[\w./-]+\.[a-z]{1,4}")
PLACEHOLDER = re.compile(
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
PROSE = re.compile(
    r"\b(?:the|your|a|an|is|are|for|to|of|with|not|no|must|enter|please|and|or|in)\b", re.IGNORECASE
)
WORDS = re.compile(r"[A-Z]?[a-z]{3,}|[A-Z]{4,}")
BASIC_AUTH = re.compile(
    r"://(?P<user>[^\s:/?#@\"'`<>{}$]{0,100}):(?P<value>[^\s:/?#@\"'`<>{}$]{1,200})@(?P<host>[\w.-]+)"
)
CREDENTIALS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("Authorization Header", re.compile(r"Basic\s+(?P<value>[\w.~+/-]{16,}={0,2})")),
    ("Authorization Header", re.compile(r"Bearer\s+(?P<value>[\w.~+/-]{16,}={0,2})")),
    (
        "Command Credentials",
        re.compile(r"curl\b[^\n]{0,300}\s(?:-u|--user)[\s'\"=]++[^\s:'\"]+:(?P<value>[^\s'\"$]{6,})"),
    ),
    ("Token in Address", re.compile(r"https?://(?P<value>[\w-]{20,200})@[\w.-]+")),
)
"""Something generated behind a word that announces it."""
NO_HOST = re.compile(r"(?:.*\.)?example(?:\.\w+)?|host(?:name)?(?:\.\w+)?|server|proxy-host", re.IGNORECASE)
BASE64_LINES = re.compile(
    r"(?:^[ \t\"'+]{0,60}[A-Za-z0-9+/]{60,76}={0,2}(?:\\n)?[ \t\"'+,\\]{0,8}\n){4,}", re.MULTILINE
)
PUBLIC = re.compile(r"BEGIN (?:CERTIFICATE|[A-Z ]*PUBLIC KEY|X509 CRL|SSH SIGNATURE|PGP SIGNATURE)[^\n]*\n\Z")
JOINED = re.compile(
    r"""(?P<quote>["'`])[^"'`\n]*(?P=quote)
    (?:[^\S\n]*+[+\\.]?[^\S\n]*+\\?\n\s*+[+.]?\s*+[rbfuRBFU]{0,2}(?P=quote)[^"'`\n]*(?P=quote)){1,20}""",
    re.VERBOSE,
)
"""Strings that are joined over several lines."""
JOINT = re.compile(r"""(["'`])[^\S\n]*+[+\\.]?[^\S\n]*+\\?\n\s*+[+.]?\s*+[rbfuRBFU]{0,2}\1""")
