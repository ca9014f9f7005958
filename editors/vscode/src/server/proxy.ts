// The environment of programs that may fetch something: VS Code's proxy goes to them, unless one is set already.
// Knows nothing of these programs.
import * as vscode from "vscode";

export function environment(): NodeJS.ProcessEnv {
  const env = { ...process.env };
  const proxy = vscode.workspace.getConfiguration("http").get<string>("proxy", "").trim();
  if (proxy) {
    for (const name of ["HTTPS_PROXY", "HTTP_PROXY"]) {
      if (!env[name] && !env[name.toLowerCase()]) env[name] = proxy;
    }
  }
  return env;
}
