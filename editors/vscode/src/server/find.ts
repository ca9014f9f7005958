// Where the language server is: the user's setting, the extension's own installation, or the PATH, in this order.
// Starts nothing that stays. Knows nothing of the protocol.
import * as vscode from "vscode";
import * as settings from "../settings";
import type { Installation } from "./install";
import { Problem } from "./problem";
import { lastLine, run, which } from "./programs";

export interface Launch {
  program: string;
  args: string[];
  from: "setting" | "installed" | "path";
}

/** How to start the server; null if there is none.
 *
 * @throws {Problem} the setting names a program that does not exist.
 */
export async function findServer(installation: Installation, log: vscode.LogOutputChannel): Promise<Launch | null> {
  const [program, ...args] = settings.command();
  if (program) {
    const found = await which(program.replace(/^~(?=[/\\])/, process.env.HOME ?? process.env.USERPROFILE ?? "~"));
    if (found) return { program: found, args, from: "setting" };
    throw new Problem(
      `The program in the setting tailora.command does not exist: ${program}. Correct the setting, or leave it empty and let Tailora install its language server.`,
      ["openSettings", "useInstalled", "retry"],
    );
  }
  if (await installation.isComplete()) {
    return { program: installation.python, args: ["-P", "-m", "tailora", "lsp"], from: "installed" };
  }
  const onPath = await which("tailora");
  if (onPath && (await answers(onPath, ["--version"], log))) return { program: onPath, args: ["lsp"], from: "path" };
  for (const name of ["python3", "python"]) {
    const python = await which(name);
    // Not in the folder that is open: a file of that name there must not be taken for Tailora.
    if (python && (await answers(python, ["-P", "-m", "tailora", "--version"], null))) {
      return { program: python, args: ["-P", "-m", "tailora", "lsp"], from: "path" };
    }
  }
  return null;
}

/** Whether a program says which version of Tailora it is; logs what it says instead. */
export async function answers(program: string, args: string[], log: vscode.LogOutputChannel | null): Promise<boolean> {
  const said = await run(program, args, { timeoutMs: 30_000 });
  const fine = said.code === 0 && /^\d+\.\d+/m.test(said.output);
  if (!fine) log?.warn(`${program} ${args.join(" ")} does not answer: ${lastLine(said.output)}`);
  return fine;
}
