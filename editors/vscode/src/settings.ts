// The user's settings: which of them go to the language server, and how the menu changes them. Only what was really
// set is sent: a default would hide the user's config.toml and the repository's tailora.toml. Knows nothing of what a
// setting does.
import * as vscode from "vscode";
import { nested } from "./nested";

/** Settings of the extension itself; the server would complain about them. */
const OWN = new Set(["command", "python"]);

const asked = new Set<string>();

interface Contribution {
  properties?: Record<string, { default?: unknown }>;
}

/** The names of the server's settings, without "tailora.", with their defaults; from package.json. */
function known(context: vscode.ExtensionContext): Map<string, unknown> {
  const { contributes } = context.extension.packageJSON as { contributes: { configuration: Contribution } };
  const found = new Map<string, unknown>();
  for (const [key, { default: value }] of Object.entries(contributes.configuration.properties ?? {})) {
    const name = key.replace(/^tailora\./, "");
    if (!OWN.has(name)) found.set(name, value);
  }
  return found;
}

/** What goes to the server for a folder, or for all (no scope), as nested objects. */
export function toSend(context: vscode.ExtensionContext, scope?: vscode.Uri): Record<string, unknown> {
  const configuration = vscode.workspace.getConfiguration("tailora", scope ?? null);
  const values = new Map<string, unknown>();
  for (const [name, standard] of known(context)) {
    const set = configuration.inspect(name);
    const value = (scope && set?.workspaceFolderValue) ?? set?.workspaceValue ?? set?.globalValue;
    if (value !== undefined) {
      values.set(name, value);
      asked.add(name);
    } else if (asked.has(name)) {
      // What was sent once stays with the server until it is told another value.
      values.set(name, standard);
    }
  }
  return { ...nested(values), learning: { ...(nested(values).learning as object), trusted: vscode.workspace.isTrusted } };
}

/** A new server knows nothing yet. */
export function forgetSent(): void {
  asked.clear();
}

function configuration(scope?: vscode.Uri): vscode.WorkspaceConfiguration {
  return vscode.workspace.getConfiguration("tailora", scope ?? null);
}

export function languageIsOff(language: string): boolean {
  return configuration().get<string[]>("completion.languagesOff", []).includes(language);
}

export async function setLanguage(language: string, on: boolean): Promise<void> {
  const user = configuration().inspect<string[]>("completion.languagesOff")?.globalValue ?? [];
  const rest = user.filter((name) => name !== language);
  const next = on ? rest : [...rest, language];
  const target = vscode.ConfigurationTarget.Global;
  await configuration().update("completion.languagesOff", next.length > 0 ? next : undefined, target);
}

export function folderIsOff(folder: vscode.WorkspaceFolder): boolean {
  const set = configuration(folder.uri).inspect<boolean>("completion.enabled");
  return (set?.workspaceFolderValue ?? set?.workspaceValue) === false;
}

export async function setFolder(folder: vscode.WorkspaceFolder, on: boolean): Promise<void> {
  const several = vscode.workspace.workspaceFile !== undefined;
  const target = several ? vscode.ConfigurationTarget.WorkspaceFolder : vscode.ConfigurationTarget.Workspace;
  await configuration(folder.uri).update("completion.enabled", on ? undefined : false, target);
}

export function everywhereIsOff(): boolean {
  return configuration().inspect<boolean>("completion.enabled")?.globalValue === false;
}

export async function setEverywhere(on: boolean): Promise<void> {
  await configuration().update("completion.enabled", on ? undefined : false, vscode.ConfigurationTarget.Global);
}

export function testsMayRun(): boolean {
  return configuration().get<boolean>("repair.runTests", false);
}

export async function letTestsRun(): Promise<void> {
  await configuration().update("repair.runTests", true, vscode.ConfigurationTarget.Global);
}

export function ghostTextIsOff(document?: vscode.TextDocument): boolean {
  return !vscode.workspace.getConfiguration("editor", document ?? null).get<boolean>("inlineSuggest.enabled", true);
}

export function command(): string[] {
  const value = configuration().get<unknown>("command");
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === "string" && item !== "") : [];
}

export function python(): string {
  return configuration().get<string>("python", "").trim();
}
