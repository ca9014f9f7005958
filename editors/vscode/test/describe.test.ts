import assert from "node:assert/strict";
import { test } from "node:test";
import { describe } from "../src/describe";

const running = { kind: "running" };

test("every phase without a server says what goes on", () => {
  const texts = ["finding", "notInstalled", "installing", "failed", "stopped", "starting"].map((kind) => describe({ kind }, null, null).text);
  assert.equal(new Set(texts).size, texts.length);
  assert.equal(describe({ kind: "restarting", seconds: 4 }, null, null).text, "restarting in 4 s");
});

test("all is well: no words", () => {
  assert.equal(describe(running, { state: "ready", message: "fine" }, null).text, "");
});

test("progress is in percent", () => {
  assert.equal(describe(running, { state: "loading", model: { progress: 0.43 } }, null).text, "loading 43 %");
  assert.equal(describe(running, { state: "training", project: { progress: 0.2 } }, null).text, "learning 20 %");
});

test("what is wrong goes before what is off here, and that before learning", () => {
  assert.equal(describe(running, { state: "error", message: "No engine" }, "a secret file").text, "error");
  assert.equal(describe(running, { state: "training" }, "a secret file").text, "off here");
  assert.equal(describe(running, { state: "training" }, "a secret file").message, "a secret file");
});

test("a state of a newer server is shown as it is", () => {
  assert.equal(describe(running, { state: "dreaming" }, null).text, "dreaming");
});
