// The extension's own installation of the language server: a virtual environment in global storage, from the wheel
// that the extension carries. Invariants: the marker is written last, so what was begun and not finished is never
// used; two windows never install at once. Knows nothing of how the server is started or found.
import { access, mkdir, readdir, rm, writeFile } from "node:fs/promises";
import * as path from "node:path";
import * as vscode from "vscode";
import { withLock } from "./lock";
import { explain, isElsewhere, Problem } from "./problem";
import { run, which, WINDOWS } from "./programs";
import { environment } from "./proxy";
import { findPython, type Python } from "./python";

const TORCH = "2.13.0";
const CPU_INDEX = "https://download.pytorch.org/whl/cpu";
const MARKER = ".complete";

export type Report = (step: string) => void;

export class Installation {
  private readonly folder: string;
  private readonly parent: string;

  constructor(
    private readonly context: vscode.ExtensionContext,
    private readonly log: vscode.LogOutputChannel,
  ) {
    this.parent = path.join(context.globalStorageUri.fsPath, "server");
    this.folder = path.join(this.parent, String((context.extension.packageJSON as { version: string }).version));
  }

  get python(): string {
    const venv = path.join(this.folder, "venv");
    return WINDOWS ? path.join(venv, "Scripts", "python.exe") : path.join(venv, "bin", "python");
  }

  /** Whether it is finished. */
  async isComplete(): Promise<boolean> {
    return (await exists(path.join(this.folder, MARKER))) && (await exists(this.python));
  }

  /** Deletes installations of other versions of the extension. */
  async tidy(): Promise<void> {
    const names = await readdir(this.parent).catch(() => [] as string[]);
    for (const name of names) {
      const folder = path.join(this.parent, name);
      if (folder !== this.folder && !name.endsWith(".lock")) await rm(folder, { recursive: true, force: true });
    }
  }

  /** Installs it, unless it is complete by the time its turn has come.
   *
   * @throws {Problem} it could not be installed; says what to do.
   * @throws the signal's reason, where the user cancelled it.
   */
  async install(report: Report, signal: AbortSignal): Promise<void> {
    const lock = path.join(this.parent, "install.lock");
    try {
      await withLock(lock, signal, () => report("Another window is installing it; waiting"), async () => {
        if (await this.isComplete()) return;
        await this.begin(report, signal);
      });
    } catch (error) {
      if (error instanceof Problem || signal.aborted) throw error;
      throw explain(error instanceof Error ? error.message : String(error));
    }
  }

  private async begin(report: Report, signal: AbortSignal): Promise<void> {
    const wheel = await this.wheel();
    report("Looking for Python");
    const python = await findPython(this.log);
    signal.throwIfAborted();
    await rm(this.folder, { recursive: true, force: true });
    await mkdir(this.folder, { recursive: true });
    try {
      report(`Making an environment with Python ${python.version}`);
      await this.makeEnvironment(python, signal);
      await this.installTorch(report, signal);
      report("Step 2 of 2: Tailora and what it needs");
      await this.pip(["install", "--progress-bar", "off", wheel], (line) => tell(report, "Step 2 of 2: ", line), signal);
      report("Checking it");
      const said = await run(this.python, ["-P", "-m", "tailora", "--version"], { timeoutMs: 60_000, cwd: this.folder, signal });
      signal.throwIfAborted();
      if (said.code !== 0) throw explain(said.output);
      await writeFile(path.join(this.folder, MARKER), said.output);
    } catch (error) {
      await rm(this.folder, { recursive: true, force: true }).catch(() => undefined);
      throw error;
    }
  }

  private async wheel(): Promise<string> {
    const folder = vscode.Uri.joinPath(this.context.extensionUri, "server").fsPath;
    const names = await readdir(folder).catch(() => [] as string[]);
    const wheel = names.find((name) => name.endsWith(".whl"));
    if (wheel) return path.join(folder, wheel);
    throw new Problem(
      "This build of the extension does not carry the language server. Install it yourself (see the README), and choose it.",
      ["useInstalled"],
    );
  }

  private async makeEnvironment(python: Python, signal: AbortSignal): Promise<void> {
    const venv = path.join(this.folder, "venv");
    const attempt = (args: string[]): ReturnType<typeof run> => {
      this.log.info(`${python.program} ${[...python.args, ...args].join(" ")}`);
      return run(python.program, [...python.args, ...args], { signal, env: environment(), cwd: this.folder, onLine: (line) => this.log.info(line) });
    };
    let said = await attempt(["-m", "venv", venv]);
    if (said.code !== 0 && !signal.aborted) {
      // Debian's Python has no ensurepip unless python3-venv is installed; the pip that is there can install itself.
      await rm(venv, { recursive: true, force: true });
      said = await attempt(["-m", "venv", "--without-pip", venv]);
      if (said.code === 0) said = await attempt(["-m", "pip", "--python", this.python, "install", "--quiet", "pip"]);
    }
    signal.throwIfAborted();
    if (said.code === 0) return;
    if (/ensurepip|No module named (venv|pip)|python3-venv/.test(said.output)) {
      throw new Problem(
        `Python ${python.version} (${python.program}) cannot make environments. On Debian and Ubuntu, install the package python3-venv, then try again; or choose another Python.`,
        ["retry", "choosePython", "showLog"],
      );
    }
    throw explain(said.output);
  }

  /** torch first: what pip would choose by itself on Linux brings several GB for GPUs. */
  private async installTorch(report: Report, signal: AbortSignal): Promise<void> {
    const step = "Step 1 of 2: ";
    report(`${step}PyTorch, the largest part`);
    const install = (args: string[]): Promise<void> =>
      this.pip(["install", "--progress-bar", "off", ...args], (line) => tell(report, step, line), signal);
    if (process.platform === "darwin") return install([`torch>=${TORCH}`]);
    if (await hasNvidia()) {
      this.log.info("An NVIDIA GPU is here: PyTorch with CUDA");
      report(`${step}PyTorch for your NVIDIA GPU (several GB)`);
      return install([`torch>=${TORCH}`]);
    }
    const cpu = `torch==${TORCH}+cpu`;
    try {
      return await install([cpu]);
    } catch (error) {
      if (!(error instanceof Problem) || !isElsewhere(error.output)) throw error;
    }
    try {
      return await install(["--index-url", CPU_INDEX, "--retries", "1", "--timeout", "15", cpu]);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
    }
    report(`${step}PyTorch, the default build (large)`);
    return install([`torch==${TORCH}`]);
  }

  private async pip(args: string[], onLine: (line: string) => void, signal: AbortSignal): Promise<void> {
    this.log.info(`pip ${args.join(" ")}`);
    const said = await run(this.python, ["-m", "pip", "--disable-pip-version-check", "--no-input", ...args], {
      signal,
      cwd: this.folder,
      env: environment(),
      onLine: (line) => {
        this.log.info(line);
        onLine(line);
      },
    });
    signal.throwIfAborted();
    if (said.code !== 0) throw explain(said.output);
  }
}

/** What pip is doing, from the lines that name a package. */
function tell(report: Report, step: string, line: string): void {
  const found = /^\s*(Downloading)\s+(?:\S*\/)?([A-Za-z0-9_.]+?)-\d\S*(?:\s+\((.+?)\))?/.exec(line) ?? /^\s*(Collecting)\s+([A-Za-z0-9_.-]+)/.exec(line);
  if (found) report(`${step}${found[2]}${found[3] ? ` (${found[3]})` : ""}`);
  else if (/^WARNING: Retrying/.test(line)) report(`${step}the package index does not answer, trying again`);
  else if (/^Installing collected packages/.test(line)) report(`${step}putting the files in place`);
}

async function hasNvidia(): Promise<boolean> {
  const program = await which("nvidia-smi");
  return program !== null && (await run(program, [], { timeoutMs: 15_000 })).code === 0;
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
