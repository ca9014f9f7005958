// Finds a Python that is new enough. Each candidate is run: a name alone says nothing. Knows nothing of what is
// installed with it.
import * as vscode from "vscode";
import * as settings from "../settings";
import { Problem } from "./problem";
import { run, which, WINDOWS } from "./programs";

export interface Python {
  program: string;
  args: string[];
  version: string;
}

const NEEDED: readonly [number, number] = [3, 11];
const NAMES = ["python3.13", "python3.12", "python3.11", "python3", "python"];
const ASK = "import sys; print('%d.%d.%d' % sys.version_info[:3])";

/** The first Python that is new enough.
 *
 * @throws {Problem} there is none; says which were found.
 */
export async function findPython(log: vscode.LogOutputChannel): Promise<Python> {
  const tooOld: Python[] = [];
  const chosen = settings.python();
  if (chosen) {
    const found = await ask(chosen, []);
    if (!found) {
      throw new Problem(
        `The Python in the setting tailora.python cannot be run: ${chosen}. Correct it, or leave it empty.`,
        ["choosePython", "openSettings"],
      );
    }
    if (isNewEnough(found)) return found;
    throw new Problem(
      `The Python in the setting tailora.python is too old: ${chosen} is ${found.version}; 3.11 or newer is needed.`,
      ["choosePython", "openSettings"],
    );
  }
  for (const [program, args] of await candidates()) {
    const found = await ask(program, args);
    if (!found) continue;
    log.info(`Python ${found.version}: ${[program, ...args].join(" ")}`);
    if (isNewEnough(found)) return found;
    tooOld.push(found);
  }
  const old = tooOld[0];
  throw new Problem(
    old
      ? `Tailora needs Python 3.11 or newer; found only ${old.version} (${old.program}). Install a newer one from python.org or your system's packages, or choose one.`
      : "No Python was found on this machine. Tailora needs Python 3.11 or newer: install it from python.org or your system's packages, or choose one.",
    ["retry", "choosePython", "showLog"],
  );
}

async function candidates(): Promise<[string, string[]][]> {
  const found: [string, string[]][] = [];
  const active = activeInterpreter();
  if (active) found.push([active, []]);
  for (const name of NAMES) {
    const program = await which(name);
    if (program) found.push([program, []]);
  }
  const launcher = WINDOWS ? await which("py") : null;
  if (launcher) found.push([launcher, ["-3"]]);
  return found;
}

/** The interpreter that the Python extension uses, if that is running anyway and the folder is trusted: an interpreter
 * may lie in the folder. */
function activeInterpreter(): string | null {
  const extension = vscode.extensions.getExtension("ms-python.python");
  if (!extension?.isActive || !vscode.workspace.isTrusted) return null;
  const api = extension.exports as { environments?: { getActiveEnvironmentPath?: () => { path?: string } } } | undefined;
  try {
    return api?.environments?.getActiveEnvironmentPath?.().path ?? null;
  } catch {
    return null;
  }
}

async function ask(program: string, args: string[]): Promise<Python | null> {
  const said = await run(program, [...args, "-c", ASK], { timeoutMs: 15_000 });
  const version = /^(\d+\.\d+\.\d+)\s*$/m.exec(said.output)?.[1];
  return said.code === 0 && version ? { program, args, version } : null;
}

function isNewEnough({ version }: Python): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > NEEDED[0] || (major === NEEDED[0] && minor >= NEEDED[1]);
}
