// One run of the language server: its process, the protocol's client, and the settings that go to it. Knows nothing of
// how the server was found or of what happens after it has ended; whoever made it is told that it did.
import { spawn, type ChildProcess } from "node:child_process";
import { mkdir } from "node:fs/promises";
import * as vscode from "vscode";
import {
  CloseAction,
  ErrorAction,
  ExecuteCommandRequest,
  type ExecuteCommandSignature,
  LanguageClient,
  type LanguageClientOptions,
  RevealOutputChannelOn,
  State,
} from "vscode-languageclient/node";
import type { ServerStatus } from "./protocol";
import type { Launch } from "./server/find";
import { killTree, lastLine, WINDOWS } from "./server/programs";
import { environment } from "./server/proxy";
import * as settings from "./settings";

const SELECTOR = [{ scheme: "file" }, { scheme: "untitled" }];
const START_TIMEOUT_MS = 60_000;
/** A server that ended may not have been read to its last word yet. */
const LAST_WORDS_MS = 1000;

/** What is shown to people is said elsewhere, in plain words; the library's own notes go to the log. */
class QuietClient extends LanguageClient {
  override error(message: string, data?: unknown): void {
    super.error(message, data instanceof Error ? data.message : data, false);
  }
}

export interface Listeners {
  status(status: ServerStatus): void;
  /** It ended by itself; `said` is the last line of its stderr. */
  ended(said: string): void;
  command(id: string, args: unknown[], run: ExecuteCommandSignature): Promise<unknown>;
}

export class Client {
  private readonly client: QuietClient;
  private process: ChildProcess | undefined;
  private closed: Promise<void> = Promise.resolve();
  private stderr = "";
  private stopping = false;
  private began = false;

  constructor(
    private readonly context: vscode.ExtensionContext,
    private readonly launch: Launch,
    private readonly log: vscode.LogOutputChannel,
    private readonly listeners: Listeners,
  ) {
    this.client = new QuietClient("tailora", "Tailora", () => this.spawn(), this.options());
    this.client.onNotification("tailora/status", (status: ServerStatus) => this.listeners.status(status));
  }

  /** Resolves when the server answers.
   *
   * @throws it ended or did not answer; the message is its last line, where it said something.
   */
  async start(): Promise<void> {
    const timeout = setTimeout(() => this.kill(), START_TIMEOUT_MS);
    try {
      settings.forgetSent();
      await this.client.start();
      this.began = true;
      // The values of single folders are told only when the server asks for them.
      await this.settingsChanged();
    } catch (error) {
      this.stopping = true;
      await Promise.race([this.closed, new Promise((resolve) => setTimeout(resolve, LAST_WORDS_MS))]);
      this.kill();
      throw new Error(lastLine(this.stderr) || (error instanceof Error ? error.message : String(error)));
    } finally {
      clearTimeout(timeout);
    }
  }

  async stop(): Promise<void> {
    this.stopping = true;
    try {
      if (this.client.state === State.Running) await this.client.stop();
    } catch (error) {
      this.log.warn(`The language server did not end by itself: ${String(error)}`);
    } finally {
      this.kill();
    }
  }

  get running(): boolean {
    return this.client.state === State.Running;
  }

  /** Whether the server has a command: one of another version may not. */
  offers(command: string): boolean {
    return this.client.initializeResult?.capabilities.executeCommandProvider?.commands.includes(command) ?? false;
  }

  async execute(command: string, args: unknown[], token?: vscode.CancellationToken): Promise<unknown> {
    const params = { command, arguments: args };
    return token ? this.client.sendRequest(ExecuteCommandRequest.type, params, token) : this.client.sendRequest(ExecuteCommandRequest.type, params);
  }

  async settingsChanged(): Promise<void> {
    if (this.running) await this.client.sendNotification("workspace/didChangeConfiguration", { settings: null });
  }

  private async spawn(): Promise<ChildProcess> {
    const { program, args } = this.launch;
    this.log.info(`Starting ${[program, ...args].join(" ")}`);
    // Not in the open folder: what lies there must not be run or imported by accident.
    const cwd = this.context.globalStorageUri.fsPath;
    await mkdir(cwd, { recursive: true });
    const viaShell = WINDOWS && /\.(cmd|bat)$/i.test(program);
    const child = spawn(viaShell ? `"${program}"` : program, args, { cwd, env: environment(), windowsHide: true, detached: !WINDOWS, shell: viaShell });
    this.process = child;
    this.closed = new Promise((resolve) => child.once("close", () => resolve()));
    child.stderr.on("data", (chunk: Buffer) => {
      this.stderr = (this.stderr + chunk.toString()).slice(-8000);
      this.log.info(chunk.toString().trimEnd());
    });
    await new Promise<void>((resolve, reject) => {
      child.once("spawn", resolve);
      child.once("error", reject);
    });
    return child;
  }

  private kill(): void {
    if (this.process) killTree(this.process);
  }

  private options(): LanguageClientOptions {
    return {
      documentSelector: SELECTOR,
      outputChannel: this.log,
      revealOutputChannelOn: RevealOutputChannelOn.Never,
      initializationOptions: () => settings.toSend(this.context),
      initializationFailedHandler: () => false,
      stdioOptions: { stdout: () => undefined, stderr: () => undefined }, // read in `spawn`, from the first word on
      errorHandler: {
        error: () => ({ action: ErrorAction.Continue, handled: true }),
        closed: () => {
          if (!this.stopping && this.began) setTimeout(() => this.listeners.ended(lastLine(this.stderr)), 0);
          return { action: CloseAction.DoNotRestart, handled: true };
        },
      },
      middleware: {
        executeCommand: (id, args, next) => this.listeners.command(id, args, next),
        workspace: {
          // Never all values, as the library would send them: the server asks for those that are set.
          didChangeConfiguration: (_sections, next) => next(undefined),
          configuration: (params) =>
            params.items.map((item) =>
              item.section === "tailora" ? settings.toSend(this.context, item.scopeUri ? vscode.Uri.parse(item.scopeUri) : undefined) : null,
            ),
        },
      },
    };
  }
}
