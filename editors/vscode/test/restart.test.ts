import assert from "node:assert/strict";
import { test } from "node:test";
import { RestartPolicy } from "../src/server/restart";

test("waits longer each time, and gives up after five restarts within five minutes", () => {
  const policy = new RestartPolicy();
  const waits = [0, 10, 20, 30, 40, 50].map((seconds) => policy.next(seconds * 1000));
  assert.deepEqual(waits, [1, 2, 4, 8, 16, null]);
});

test("crashes that are long ago do not count", () => {
  const policy = new RestartPolicy();
  for (let count = 0; count < 5; count++) policy.next(0);
  assert.equal(policy.next(5 * 60_000), 1);
});

test("after a start by hand it begins anew", () => {
  const policy = new RestartPolicy();
  for (let count = 0; count < 6; count++) policy.next(0);
  policy.reset();
  assert.equal(policy.next(0), 1);
});
