// A test's name as pytest knows it, "tests/test_a.py::TestB::test_c", from what the Test Explorer or a line of the
// text says. Pure.

/** From a test item's id, as the Python extension makes them: all behind the file's path, without a case's name. */
export function fromItem(relative: string, id: string, label: string, parents: readonly string[]): string | null {
  const names = id.includes("::") ? id.split("::").slice(1) : [...parents, label];
  const clean = names.map((name) => name.replace(/\[.*$/s, "")).filter((name) => /^[A-Za-z_]\w*$/.test(name));
  return clean.at(-1)?.startsWith("test") ? [relative, ...clean].join("::") : null;
}

/** From the line that the cursor is in: the test around it. */
export function fromLine(relative: string, lines: readonly string[], line: number): string | null {
  let indent = Infinity;
  const names: string[] = [];
  for (let at = Math.min(line, lines.length - 1); at >= 0; at--) {
    const text = lines[at] ?? "";
    const found = /^(\s*)(?:(?:async\s+)?def|class)\s+([A-Za-z_]\w*)/.exec(text);
    if (!found || found[1] === undefined || found[2] === undefined || found[1].length >= indent) {
      if (/^\S/.test(text) && !/^[#@)\]}]/.test(text) && names.length === 0 && at < line) return null;
      continue;
    }
    indent = found[1].length;
    names.unshift(found[2]);
    if (indent === 0) break;
  }
  const innermost = names.findLastIndex((name) => name.startsWith("test"));
  return innermost < 0 ? null : [relative, ...names.slice(0, innermost + 1)].join("::");
}
