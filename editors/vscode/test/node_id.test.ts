import assert from "node:assert/strict";
import { test } from "node:test";
import { fromItem, fromLine } from "../src/node_id";

test("from the Test Explorer's item", () => {
  assert.equal(fromItem("tests/test_a.py", "/home/me/tests/test_a.py::TestB::test_c", "test_c", []), "tests/test_a.py::TestB::test_c");
  assert.equal(fromItem("test_a.py", "/x/test_a.py::test_c[1-::x]", "[1-::x]", []), "test_a.py::test_c");
  assert.equal(fromItem("test_a.py", "some id", "test_c", ["TestB"]), "test_a.py::TestB::test_c");
  assert.equal(fromItem("test_a.py", "/x/test_a.py", "test_a.py", []), null);
});

const LINES = [
  "import os",
  "",
  "def helper():",
  "    return 1",
  "",
  "class TestB:",
  "    def test_c(self):",
  "        def inner():",
  "            return 2",
  "        assert inner() == 1",
  "",
  "async def test_d():",
  "    assert False",
  "",
  "VALUE = 1",
];

test("from the line that the cursor is in", () => {
  assert.equal(fromLine("t.py", LINES, 9), "t.py::TestB::test_c");
  assert.equal(fromLine("t.py", LINES, 8), "t.py::TestB::test_c");
  assert.equal(fromLine("t.py", LINES, 12), "t.py::test_d");
  assert.equal(fromLine("t.py", LINES, 3), null);
  assert.equal(fromLine("t.py", LINES, 0), null);
});
