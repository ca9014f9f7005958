import assert from "node:assert/strict";
import { test } from "node:test";
import { nested } from "../src/nested";
import { accepted, age, gains } from "../src/words";

test("what a version gained, in plain words", () => {
  const version = { version: "3", status: "serving", base_nll: 1.526, candidate_nll: 1.156, base_exact_match: 0.2, candidate_exact_match: 0.25 };
  assert.equal(gains(version), "held-out loss 1.53 → 1.16, 20 % → 25 % of holes filled exactly");
  assert.equal(gains({ version: "1", status: "corrupt", base_nll: null }), "");
});

test("ages", () => {
  const now = Date.parse("2026-11-27T12:00:00Z");
  assert.equal(age("2026-11-27T11:59:40Z", now), "just now");
  assert.equal(age("2026-11-27T11:00:00Z", now), "1 hour ago");
  assert.equal(age("2026-11-20T12:00:00Z", now), "7 days ago");
  assert.equal(age(null, now), "");
});

test("acceptance is told only where something was shown", () => {
  assert.equal(accepted({ shown: 120, accepted: 31 }), "31 of 120 suggestions accepted (26 %)");
  assert.equal(accepted({ shown: 0, accepted: 0 }), "");
});

test("settings are nested as the server takes them", () => {
  assert.deepEqual(nested(new Map<string, unknown>([["completion.maxLines", 3], ["completion.enabled", false], ["model.download", "never"]])), {
    completion: { maxLines: 3, enabled: false },
    model: { download: "never" },
  });
});
