// "completion.maxLines" -> {completion: {maxLines}}: the form in which the server takes settings. Knows nothing else.

export function nested(values: ReadonlyMap<string, unknown>): Record<string, unknown> {
  const result: Record<string, Record<string, unknown>> = {};
  for (const [name, value] of values) {
    const [section, key] = name.split(".", 2);
    if (section && key) (result[section] ??= {})[key] = value;
  }
  return result;
}
