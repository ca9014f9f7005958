// What each command of the palette and of the menu does. Their ids are not those of the server's own commands, which
// the protocol's client registers. Knows nothing of when a command is offered.
import * as vscode from "vscode";
import type { Here } from "./here";
import type { Answer, DoctorAnswer, LogAnswer } from "./protocol";
import { Report } from "./report";
import { answers } from "./server/find";
import type { Remedy } from "./server/problem";
import { run, which } from "./server/programs";
import type { Session } from "./session";
import * as settings from "./settings";
import { manageTrust } from "./trust";
import { openWalkthrough } from "./walkthrough";

/** Where "this project" is: the folder of the document in use, as the server takes it. */
export function folderInUse(here: Here): string | null {
  const document = here.document;
  const folder = document ? vscode.workspace.getWorkspaceFolder(document.uri) : undefined;
  return (folder ?? vscode.workspace.workspaceFolders?.[0])?.uri.toString() ?? null;
}

export class Commands {
  private readonly report = new Report();

  constructor(
    private readonly session: Session,
    private readonly here: Here,
    private readonly log: vscode.LogOutputChannel,
  ) {}

  register(): vscode.Disposable[] {
    const table: Record<string, () => unknown> = {
      installServer: () => this.session.install(),
      useInstalled: () => this.useInstalled(),
      choosePython: () => this.choosePython(),
      restartServer: () => this.session.restart(),
      restartEngine: () => this.say("tailora.restartEngine", "Restarting the engine"),
      showLog: () => this.log.show(),
      engineLog: () => this.engineLog(),
      doctor: () => this.doctor(),
      pullModel: () => this.say("tailora.pullModel"),
      trainNow: () => this.trainNow(),
      pauseLearning: () => this.project("tailora.pauseLearning"),
      resumeLearning: () => this.project("tailora.resumeLearning"),
      rollBack: () => this.project("tailora.rollBack"),
      disableAdapter: () => this.project("tailora.disable"),
      enableAdapter: () => this.project("tailora.enable"),
      deleteLearned: () => this.deleteLearned(),
      toggleLanguage: () => this.toggleLanguage(),
      toggleFolder: () => this.toggleFolder(),
      toggleEverywhere: () => settings.setEverywhere(settings.everywhereIsOff()),
      showLearned: () => vscode.commands.executeCommand("tailora.overview.focus"),
      openSettings: () => vscode.commands.executeCommand("workbench.action.openSettings", "@ext:tailora.tailora"),
      walkthrough: () => openWalkthrough(),
    };
    const registered = Object.entries(table).map(([name, run]) => vscode.commands.registerCommand(`tailora.menu.${name}`, run));
    return [...registered, this.report];
  }

  /** What the button of a message does. */
  async remedy(chosen: Remedy): Promise<void> {
    switch (chosen) {
      case "retry":
      case "restart":
        return this.session.restart();
      case "install":
        return this.session.install();
      case "choosePython":
        return this.choosePython();
      case "useInstalled":
        return this.useInstalled();
      case "showLog":
        return this.log.show();
      case "proxySettings":
        await vscode.commands.executeCommand("workbench.action.openSettings", "http.proxy");
        return;
      case "openSettings":
        await vscode.commands.executeCommand("workbench.action.openSettings", "@ext:tailora.tailora");
    }
  }

  /** Runs one of the server's commands and shows what it answers; the server shows by itself what went wrong. */
  private async say(command: string, title?: string, args: unknown[] = []): Promise<boolean> {
    if (!this.session.running) {
      void vscode.window.showWarningMessage("Tailora's language server does not run.");
      return false;
    }
    if (!this.session.offers(command)) {
      void vscode.window.showWarningMessage("This version of Tailora's language server cannot do that.");
      return false;
    }
    const call = (): Promise<Answer | null> => this.session.call<Answer>(command, args);
    const location = vscode.ProgressLocation.Window;
    const answer = title ? await vscode.window.withProgress({ location, title }, call) : await call();
    if (answer?.ok && answer.message) void vscode.window.showInformationMessage(`Tailora: ${answer.message}`);
    if (!answer) void vscode.window.showErrorMessage("Tailora's language server did not answer; the log may say why.");
    return answer?.ok ?? false;
  }

  private project(command: string): Promise<boolean> {
    return this.say(command, undefined, [folderInUse(this.here)]);
  }

  private async trainNow(): Promise<void> {
    if (!vscode.workspace.isTrusted) return manageTrust("Tailora learns only folders that you trust.");
    await this.project("tailora.trainNow");
  }

  async deleteLearned(version: string | null = null, folder = folderInUse(this.here)): Promise<boolean> {
    const what = version ? `version ${version}` : "all that was learned of this folder";
    const button = "Delete";
    const detail = version ? "It cannot be brought back." : "Every version is deleted and cannot be brought back. Suggestions come from the model as it was shipped.";
    const chosen = await vscode.window.showWarningMessage(`Delete ${what}?`, { modal: true, detail }, button);
    return chosen === button && this.say("tailora.deleteAdapters", undefined, [folder, version]);
  }

  use(version: string, folder: string | null): Promise<boolean> {
    return this.say("tailora.useVersion", undefined, [folder, version]);
  }

  private async engineLog(): Promise<void> {
    const answer = await this.session.call<LogAnswer>("tailora.log");
    if (!answer?.path) return this.log.show();
    try {
      await vscode.window.showTextDocument(vscode.Uri.file(answer.path));
    } catch {
      void vscode.window.showInformationMessage(`Tailora: the engine has written no log yet (${answer.path}).`);
    }
  }

  private async doctor(): Promise<void> {
    if (!this.session.running) {
      this.log.show();
      void vscode.window.showWarningMessage("The doctor is part of Tailora's language server, which does not run. The log says why.");
      return;
    }
    const options = { location: vscode.ProgressLocation.Notification, title: "Tailora looks for what is wrong" };
    const answer = await vscode.window.withProgress(options, () => this.session.call<DoctorAnswer>("tailora.doctor"));
    if (answer) await this.report.show(answer);
    else void vscode.window.showWarningMessage("The doctor did not answer; the log may say why.");
  }

  private async toggleLanguage(): Promise<void> {
    const language = this.here.document?.languageId;
    if (!language) {
      void vscode.window.showInformationMessage("Tailora: open a file of the language first.");
      return;
    }
    await settings.setLanguage(language, settings.languageIsOff(language));
  }

  private async toggleFolder(): Promise<void> {
    const document = this.here.document;
    const folder = (document && vscode.workspace.getWorkspaceFolder(document.uri)) ?? vscode.workspace.workspaceFolders?.[0];
    if (!folder) {
      void vscode.window.showInformationMessage("Tailora: no folder is open.");
      return;
    }
    await settings.setFolder(folder, settings.folderIsOff(folder));
  }

  private async useInstalled(): Promise<void> {
    const picked = await vscode.window.showOpenDialog({
      canSelectMany: false,
      openLabel: "Use",
      title: "The program tailora, or the Python of the environment that it is installed in",
    });
    const program = picked?.[0]?.fsPath;
    if (!program) return;
    const isTailora = await answers(program, ["--version"], this.log);
    const python = !isTailora || /python/i.test(program.split(/[\\/]/).at(-1) ?? "");
    if (python && !(await answers(program, ["-P", "-m", "tailora", "--version"], this.log))) {
      void vscode.window.showErrorMessage(`${program} is neither Tailora nor a Python in which Tailora is installed.`);
      return;
    }
    const command = python ? [program, "-P", "-m", "tailora", "lsp"] : [program, "lsp"];
    await vscode.workspace.getConfiguration("tailora").update("command", command, vscode.ConfigurationTarget.Global);
    await this.session.restart();
  }

  private async choosePython(): Promise<void> {
    const picked = await vscode.window.showOpenDialog({ canSelectMany: false, openLabel: "Choose", title: "Python 3.11 or newer" });
    const program = picked?.[0]?.fsPath;
    if (!program) return;
    const found = await which(program);
    const said = found ? await run(found, ["--version"], { timeoutMs: 15_000 }) : null;
    if (!said || said.code !== 0 || !/Python 3/.test(said.output)) {
      void vscode.window.showErrorMessage(`${program} is no Python that can be run.`);
      return;
    }
    await vscode.workspace.getConfiguration("tailora").update("python", program, vscode.ConfigurationTarget.Global);
    await this.session.install();
  }
}
