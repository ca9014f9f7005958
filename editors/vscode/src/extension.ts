// Puts the parts together when VS Code starts the extension. Decides nothing itself.
import * as vscode from "vscode";
import { Commands } from "./commands";
import { Here } from "./here";
import { openMenu } from "./menu";
import { Session } from "./session";
import { StatusItem } from "./status";
import * as tests from "./tests";
import { Overview } from "./view/overview";
import { openOnce, tickOff } from "./walkthrough";
import { wakeGhostText } from "./wake";

let session: Session | undefined;

export function activate(context: vscode.ExtensionContext): void {
  const log = vscode.window.createOutputChannel("Tailora", { log: true });
  const running = new Session(context, log, (remedy) => void commands.remedy(remedy));
  session = running;
  const here = new Here(running);
  const commands = new Commands(running, here, log);
  running.commands = async (id, args, run) => {
    if (id !== tests.REPAIR) return run();
    const [uri, node] = args;
    return typeof uri === "string" && typeof node === "string" ? tests.repair(running, uri, node) : undefined;
  };
  context.subscriptions.push(
    log,
    running,
    here,
    new StatusItem(running, here),
    ...commands.register(),
    vscode.commands.registerCommand("tailora.menu.open", () => openMenu(running, here)),
    tests.register(running),
    tickOff(running),
    wakeGhostText(running),
    vscode.window.registerWebviewViewProvider("tailora.overview", new Overview(context, running, here, commands)),
    vscode.workspace.onDidGrantWorkspaceTrust(() => void running.settingsChanged()),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration("tailora.command")) void running.restart();
      else if (event.affectsConfiguration("tailora")) void running.settingsChanged();
    }),
  );
  void running.start();
  void openOnce(context);
}

export function deactivate(): Promise<void> | undefined {
  return session?.end();
}
