// Packs the .vsix: `npm run package -- --out FILE`. Puts the repository's licence beside package.json for the time of
// packing, and a wheel of the language server in server/ goes in if one lies there.
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, rmSync } from "node:fs";

const licence = "LICENSE";
const copied = !existsSync(licence) && existsSync("../../LICENSE");
if (copied) copyFileSync("../../LICENSE", licence);
try {
  await import("./build.mjs");
  const options = ["package", "--no-dependencies", "--allow-missing-repository", ...process.argv.slice(2)];
  const done = spawnSync(process.execPath, ["node_modules/@vscode/vsce/vsce", ...options], { stdio: "inherit" });
  process.exitCode = done.status ?? 1;
} finally {
  if (copied) rmSync(licence);
}
