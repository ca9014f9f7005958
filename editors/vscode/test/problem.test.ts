import assert from "node:assert/strict";
import { test } from "node:test";
import { explain, isElsewhere } from "../src/server/problem";

const UNREACHABLE =
  "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(': Failed to establish a new connection: [Errno 111] Connection refused')'\n" +
  "ERROR: Could not find a version that satisfies the requirement torch==2.13.0+cpu (from versions: none)\nERROR: No matching distribution found for torch==2.13.0+cpu";

test("no network is told from a package that is not there", () => {
  assert.match(explain(UNREACHABLE).message, /could not be reached/);
  assert.equal(isElsewhere(UNREACHABLE), false);
  const elsewhere = "ERROR: Could not find a version that satisfies the requirement torch==2.13.0+cpu (from versions: 2.12.0, 2.13.0)\nERROR: No matching distribution found for torch==2.13.0+cpu";
  assert.equal(isElsewhere(elsewhere), true);
  const constrained = "The user requested (constraint) torch<=2.14.1\nERROR: ResolutionImpossible: for help visit https://pip.pypa.io";
  assert.equal(isElsewhere(constrained), true);
  assert.equal(isElsewhere(UNREACHABLE + constrained), false);
});

for (const [said, expected] of [
  ["ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", /disk is full/],
  ["ProxyError('Cannot connect to proxy.', NewConnectionError('...'))", /proxy refused/],
  ["SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", /certificate/],
  ["socket.gaierror: [Errno -3] Temporary failure in name resolution", /could not be reached/],
  ["ERROR: Package 'tailora' requires a different Python: 3.10.1 not in '>=3.11'", /does not fit/],
  ["ERROR: ResolutionImpossible: for help visit https://pip.pypa.io", /constraints/],
  ["something\nERROR: a riddle", /failed: ERROR: a riddle/],
] as const) {
  test(`says what to do about: ${said.slice(0, 50)}`, () => {
    const problem = explain(said);
    assert.match(problem.message, expected);
    assert.ok(problem.remedies.length > 0);
  });
}
