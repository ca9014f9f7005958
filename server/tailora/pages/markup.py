"""Elements of HTML and SVG, built as a tree, so that no text is ever taken for markup.

Knows nothing of pages. Invariant: text is escaped where the tree is written, and has no character that HTML or XML
has no place for.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable

__all__ = ["Content", "clean", "element", "html"]

Content = ET.Element | str | None | Iterable["Content"]
"""What may stand in an element; None is left out."""
_NO_TEXT = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no place for, not even escaped."""
_DIRECTION = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
"""What turns the direction of the text around it."""


def clean(text: str) -> str:
    """A text without what a document cannot hold, or what would make it read otherwise than it is."""
    return _DIRECTION.sub("\ufffd", _NO_TEXT.sub("\ufffd", text))


def element(tag: str, /, *content: Content, **attributes: str | int | float | bool | None) -> ET.Element:
    """An element.

    Args:
        tag: Its name.
        content: Texts and elements, in order.
        attributes: ``class_`` for ``class``, underscores for hyphens. None and False are left out, True has no value.
    """
    made = ET.Element(tag)
    for key, value in attributes.items():
        if value is not None and value is not False:
            made.set(key.rstrip("_").replace("_", "-"), "" if value is True else clean(str(value)))
    _add(made, content)
    return made


def html(tree: ET.Element) -> str:
    """The text of a tree, as HTML."""
    return ET.tostring(tree, encoding="unicode", method="html")


def _add(parent: ET.Element, content: Iterable[Content]) -> None:
    for one in content:
        if one is None:
            continue
        if isinstance(one, str):
            if len(parent):
                parent[-1].tail = (parent[-1].tail or "") + clean(one)
            else:
                parent.text = (parent.text or "") + clean(one)
        elif isinstance(one, ET.Element):
            parent.append(one)
        else:
            _add(parent, one)
