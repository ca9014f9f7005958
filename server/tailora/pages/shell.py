"""The file around a page's content: one HTML document with its style and its script in it.

Invariant: the page asks for nothing. Its Content Security Policy lets a browser use this very style and this very
script, by their hashes, and nothing else: what slipped in with a name or a message would neither run nor be fetched.
"""

import base64
import hashlib
import xml.etree.ElementTree as ET
from functools import cache
from importlib.resources import files

from tailora.pages.markup import Content, element, html

__all__ = ["facts", "figure", "page"]


def page(title: str, *content: Content, language: str = "en") -> str:
    """The text of an HTML file (UTF-8)."""
    style, script = _part("style.css"), _part("script.js")
    policy = "; ".join(
        (
            "default-src 'none'",
            f"style-src '{_hash(style)}'",
            f"script-src '{_hash(script)}'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        ET.Element("meta", {"http-equiv": "Content-Security-Policy", "content": policy}),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        _as_it_is("style", style),
    )
    body = element("body", element("main", *content), _as_it_is("script", script))
    return "<!doctype html>\n" + html(element("html", head, body, lang=language)) + "\n"


def facts(rows: dict[str, Content]) -> ET.Element:
    """Names and what they are."""
    return element(
        "dl", [(element("dt", name), element("dd", value)) for name, value in rows.items()], class_="facts"
    )


def figure(chart: ET.Element, title: str, *notes: Content) -> ET.Element:
    """A chart with what it shows."""
    caption = element(
        "figcaption", element("strong", title), [element("small", note) for note in notes if note]
    )
    return element("figure", caption, chart)


@cache
def _part(name: str) -> str:
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    assert "</" not in text, "it would end its own element"
    return text


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _as_it_is(name: str, text: str) -> ET.Element:
    """A style or script, which is not escaped: it has no markup, and its hash is that of its text."""
    made = ET.Element(name)
    made.text = text
    return made
