"""The standard library as the document, and as a model that writes what was there and then runs on."""

import argparse
import ast
import configparser
import inspect
import pathlib
import random
import tarfile
import textwrap

import pytest

from tailora.completion import Snapshot, StopRule, clean


@pytest.mark.parametrize("module", [argparse, configparser, pathlib, tarfile, textwrap])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_removed_statement_comes_back_as_it_was(module, newline):
    text = inspect.getsource(module).replace("\n", newline)
    lines = text.split(newline)
    found = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.stmt)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno < 10
        and not getattr(node, "decorator_list", [])
        and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        and not lines[node.lineno - 1].encode()[: node.col_offset].strip()
    ]
    right = 0
    chosen = random.Random(0).sample(found, min(60, len(found)))
    for node in chosen:
        indent = lines[node.lineno - 1][: node.col_offset]
        before = newline.join([*lines[: node.lineno - 1], indent])
        after = newline.join(["", *lines[node.end_lineno :]])
        removed = newline.join(lines[node.lineno - 1 : node.end_lineno])[node.col_offset :]
        snapshot = Snapshot("file:///f.py", None, "python", 1, before + after, len(before))
        rule = StopRule(snapshot)
        model = newline.join(lines[node.lineno - 1 :])[node.col_offset :]
        for start in range(0, len(model), 5):
            if rule.feed(model[start : start + 5]):
                break
        shown = clean(rule.text, snapshot, kept_stop_reason=rule.reason)
        right += shown == removed.rstrip()
    assert right >= 0.95 * len(chosen)
