// The language server's life in this window: found or installed, started, started again after a crash, or given up
// with a message that says what to do. Everything else looks at the state here. Knows nothing of how it is shown.
import * as vscode from "vscode";
import { Client } from "./client";
import type { Answer, ServerStatus } from "./protocol";
import { findServer, type Launch } from "./server/find";
import { Installation } from "./server/install";
import { Problem, type Remedy } from "./server/problem";
import { RestartPolicy } from "./server/restart";

export type Phase =
  | { kind: "finding" | "notInstalled" | "starting" | "running" | "stopped" }
  | { kind: "installing"; step: string }
  | { kind: "restarting"; seconds: number; said: string }
  | { kind: "failed"; message: string };

export type Commands = (id: string, args: unknown[], run: () => Promise<unknown>) => Promise<unknown>;

export class Session implements vscode.Disposable {
  phase: Phase = { kind: "finding" };
  status: ServerStatus | null = null;
  readonly installation: Installation;
  /** How commands run that the server's own lenses and suggestions name. */
  commands: Commands = (_id, _args, run) => run();

  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChange = this.changed.event;
  private readonly policy = new RestartPolicy();
  private client: Client | null = null;
  private timer: NodeJS.Timeout | undefined;
  private generation = 0;
  private installing: Promise<void> | null = null;

  constructor(
    private readonly context: vscode.ExtensionContext,
    private readonly log: vscode.LogOutputChannel,
    private readonly remedy: (chosen: Remedy) => void,
  ) {
    this.installation = new Installation(context, log);
  }

  /** Finds the server and starts it; asks whether to install one if there is none. */
  async start(): Promise<void> {
    this.policy.reset();
    await this.begin(true);
  }

  /** Ends the server, if one runs, and starts anew, settings and all. */
  async restart(): Promise<void> {
    await this.end();
    await this.start();
  }

  async install(): Promise<void> {
    if (this.installing) return this.installing;
    this.installing = this.doInstall().finally(() => (this.installing = null));
    return this.installing;
  }

  get running(): boolean {
    return this.client?.running ?? false;
  }

  offers(command: string): boolean {
    return this.client?.offers(command) ?? false;
  }

  /** One of the server's commands; null where it cannot be asked. The server itself shows what went wrong. */
  async call<T extends Answer>(command: string, args: unknown[] = [], token?: vscode.CancellationToken): Promise<T | null> {
    if (!this.client?.offers(command)) return null;
    try {
      return ((await this.client.execute(command, args, token)) ?? null) as T | null;
    } catch (error) {
      if (!token?.isCancellationRequested) this.log.warn(`${command}: ${String(error)}`);
      return null;
    }
  }

  async settingsChanged(): Promise<void> {
    await this.client?.settingsChanged();
  }

  async end(): Promise<void> {
    this.generation++;
    clearTimeout(this.timer);
    const client = this.client;
    this.client = null;
    this.status = null;
    this.become({ kind: "stopped" });
    await client?.stop();
  }

  dispose(): void {
    clearTimeout(this.timer);
    this.changed.dispose();
  }

  private become(phase: Phase): void {
    this.phase = phase;
    this.changed.fire();
  }

  private async begin(first: boolean): Promise<void> {
    const generation = ++this.generation;
    clearTimeout(this.timer);
    if (first) this.become({ kind: "finding" });
    let launch: Launch | null;
    try {
      launch = await findServer(this.installation, this.log);
    } catch (error) {
      if (generation === this.generation) this.fail(error);
      return;
    }
    if (generation !== this.generation) return;
    if (!launch) {
      this.become({ kind: "notInstalled" });
      void this.offerInstallation();
      return;
    }
    await this.run(launch, generation);
  }

  private async run(launch: Launch, generation: number): Promise<void> {
    this.become({ kind: "starting" });
    const client = new Client(this.context, launch, this.log, {
      status: (status) => {
        if (client !== this.client) return;
        this.status = status;
        this.changed.fire();
      },
      ended: (said) => {
        if (client === this.client) this.crashed(said, launch);
      },
      command: (id, args, run) => this.commands(id, args, async () => run(id, args)),
    });
    this.client = client;
    try {
      await client.start();
    } catch (error) {
      if (generation !== this.generation) return;
      this.crashed(error instanceof Error ? error.message : String(error), launch);
      return;
    }
    if (generation !== this.generation) return client.stop();
    this.log.info("The language server runs");
    this.become({ kind: "running" });
    if (launch.from === "installed") void this.installation.tidy();
  }

  private crashed(said: string, launch: Launch): void {
    this.client = null;
    this.status = null;
    const seconds = this.policy.next();
    this.log.error(`The language server ended unexpectedly${said ? `: ${said}` : ""}`);
    if (seconds === null) {
      const bySetting = launch.from === "setting";
      const where = bySetting ? " (started as the setting tailora.command says)" : "";
      const detail = said ? ` It last said: ${said}` : "";
      const text = `Tailora's language server${where} ended again and again, and was not started once more.${detail}`;
      this.fail(new Problem(text, ["showLog", "restart", ...(bySetting ? (["openSettings"] as const) : [])]));
      return;
    }
    this.countDown(seconds, said);
  }

  private countDown(seconds: number, said: string): void {
    if (seconds === 0) {
      void this.begin(false);
      return;
    }
    this.become({ kind: "restarting", seconds, said });
    this.timer = setTimeout(() => this.countDown(seconds - 1, said), 1000);
  }

  private fail(error: unknown): void {
    const problem = error instanceof Problem ? error : new Problem(String(error), ["showLog", "restart"]);
    this.log.error(problem.message);
    this.become({ kind: "failed", message: problem.message });
    void this.showProblem(problem);
  }

  private async showProblem(problem: Problem): Promise<void> {
    const labels: Record<Remedy, string> = {
      retry: "Retry",
      choosePython: "Choose Python...",
      openSettings: "Open Settings",
      proxySettings: "Open Settings",
      showLog: "Show Log",
      useInstalled: "Use an Installed One...",
      install: "Retry",
      restart: "Restart",
    };
    const buttons = problem.remedies.map((remedy) => ({ title: labels[remedy], remedy }));
    const chosen = await vscode.window.showErrorMessage(problem.message, ...buttons);
    if (chosen) this.remedy(chosen.remedy);
  }

  private async offerInstallation(): Promise<void> {
    const install = "Install";
    const use = "Use an Installed One...";
    const more = "Learn More";
    const text = "Tailora needs its language server (Python 3.11 or newer; about 500 MB to download, 1.5 GB on disk, more with an NVIDIA GPU).";
    const chosen = await vscode.window.showInformationMessage(text, install, use, more);
    if (chosen === install) this.remedy("install");
    else if (chosen === use) this.remedy("useInstalled");
    else if (chosen === more) await vscode.commands.executeCommand("tailora.menu.walkthrough");
  }

  private async doInstall(): Promise<void> {
    await this.end();
    const generation = this.generation;
    const abort = new AbortController();
    const title = "Installing Tailora's language server";
    try {
      await vscode.window.withProgress({ location: vscode.ProgressLocation.Notification, title, cancellable: true }, async (progress, token) => {
        token.onCancellationRequested(() => abort.abort());
        const report = (step: string): void => {
          progress.report({ message: step });
          this.become({ kind: "installing", step });
        };
        report("Preparing");
        await this.installation.install(report, abort.signal);
      });
    } catch (error) {
      if (generation !== this.generation) return;
      if (abort.signal.aborted) {
        this.log.info("The installation was cancelled");
        this.become({ kind: "notInstalled" });
      } else {
        this.fail(error instanceof Problem ? withRetry(error) : error);
      }
      return;
    }
    await this.start();
    if (this.running) void vscode.window.showInformationMessage("Tailora's language server is installed and runs.");
  }
}

/** Here, to try again means to install again. */
function withRetry(problem: Problem): Problem {
  return new Problem(problem.message, problem.remedies.map((remedy) => (remedy === "retry" ? "install" : remedy)));
}
