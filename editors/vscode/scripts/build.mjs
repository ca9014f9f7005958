// Bundles the extension and the page of its view into dist/. `--watch` goes on doing so.
import esbuild from "esbuild";

const common = { bundle: true, minify: true, sourcemap: false, legalComments: "none", logLevel: "info" };
const builds = [
  {
    ...common,
    entryPoints: ["src/extension.ts"],
    outfile: "dist/extension.js",
    platform: "node",
    target: "node20",
    format: "cjs",
    external: ["vscode"],
    mainFields: ["module", "main"],
  },
  {
    ...common,
    entryPoints: ["src/view/page.ts"],
    outfile: "dist/page.js",
    platform: "browser",
    target: "es2022",
    format: "iife",
  },
];

for (const build of builds) {
  if (process.argv.includes("--watch")) await (await esbuild.context(build)).watch();
  else await esbuild.build(build);
}
