// Runs the tests of the parts that need no VS Code: `npm test`.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import esbuild from "esbuild";

const names = readdirSync("test").filter((name) => name.endsWith(".test.ts"));
await esbuild.build({
  entryPoints: names.map((name) => `test/${name}`),
  outdir: "dist/test",
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node20",
});
const files = names.map((name) => `dist/test/${name.replace(/\.ts$/, ".js")}`);
process.exitCode = spawnSync(process.execPath, ["--test", ...files], { stdio: "inherit" }).status ?? 1;
