// Programs of this machine: where they are, and what they say when they are run. Knows nothing of Tailora or VS Code.
import { spawn, type ChildProcess } from "node:child_process";
import { access, constants, stat } from "node:fs/promises";
import * as path from "node:path";

export const WINDOWS = process.platform === "win32";

/** The full path of a program, or null. Looks only in absolute folders of PATH: a program that lies in a repository
 * must never be taken for one of the machine's, as Windows would do. */
export async function which(name: string): Promise<string | null> {
  if (path.isAbsolute(name)) return (await isProgram(name)) ? name : null;
  if (name.includes("/") || (WINDOWS && name.includes("\\"))) return null;
  const endings = WINDOWS ? ["", ...(process.env.PATHEXT ?? ".EXE;.CMD;.BAT").split(";")] : [""];
  for (const folder of (process.env.PATH ?? "").split(path.delimiter)) {
    if (!path.isAbsolute(folder)) continue;
    for (const ending of endings) {
      const candidate = path.join(folder, name + ending);
      if (await isProgram(candidate)) return candidate;
    }
  }
  return null;
}

async function isProgram(file: string): Promise<boolean> {
  try {
    await access(file, WINDOWS ? constants.F_OK : constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}

export interface Ran {
  code: number | null;
  output: string;
  cancelled: boolean;
}

export interface RunOptions {
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  timeoutMs?: number;
  onLine?: (line: string) => void;
  signal?: AbortSignal;
}

/** Runs a program to its end; both of its outputs come together. Never throws: a program that cannot be started has
 * code null and says why. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return new Promise((resolve) => {
    if (options.signal?.aborted) return resolve({ code: null, output: "", cancelled: true });
    let output = "";
    let rest = "";
    let cancelled = false;
    const child = spawn(program, args, {
      env: options.env ?? process.env,
      cwd: options.cwd,
      detached: !WINDOWS, // a group of its own, so that all of it can be ended
      windowsHide: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const cancel = (): void => {
      cancelled = true;
      killTree(child);
    };
    options.signal?.addEventListener("abort", cancel, { once: true });
    const timer = options.timeoutMs ? setTimeout(() => killTree(child), options.timeoutMs) : undefined;
    const take = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-200_000);
      const lines = (rest + chunk.toString()).split(/\r\n|\n|\r/);
      rest = lines.pop() ?? "";
      for (const line of lines) if (line.trim()) options.onLine?.(line);
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    const end = (code: number | null, said = ""): void => {
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", cancel);
      if (rest.trim()) options.onLine?.(rest);
      rest = "";
      resolve({ code, output: output + said, cancelled });
    };
    child.on("error", (error) => end(null, error.message));
    child.on("close", (code) => end(code));
  });
}

/** Ends a process and all that it started. */
export function killTree(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null) return;
  try {
    if (WINDOWS) spawn("taskkill", ["/pid", String(child.pid), "/T", "/F"], { windowsHide: true, stdio: "ignore" });
    else process.kill(-child.pid, "SIGTERM");
  } catch {
    child.kill();
  }
}

/** The last line that says something. */
export function lastLine(text: string): string {
  return text.trim().split(/\r?\n/).at(-1)?.trim() ?? "";
}
