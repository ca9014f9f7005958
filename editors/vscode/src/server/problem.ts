// Something that keeps the language server from running, said so that a person knows what to do. Recognises what went
// wrong from what pip wrote. Knows nothing of VS Code.

export type Remedy = "retry" | "choosePython" | "openSettings" | "proxySettings" | "showLog" | "useInstalled" | "install" | "restart";

export class Problem extends Error {
  constructor(
    message: string,
    readonly remedies: readonly Remedy[],
    /** What a program wrote, where that is known. */
    readonly output: string = "",
  ) {
    super(message);
  }
}

const CAUSES: readonly [RegExp, string, readonly Remedy[]][] = [
  [
    /No space left on device|\[Errno 28\]|not enough space on the disk|Disk quota exceeded/i,
    "The disk is full. Tailora's language server needs about 1.5 GB (more with an NVIDIA GPU). Free some space, then try again.",
    ["retry", "showLog"],
  ],
  [
    /ProxyError|Cannot connect to proxy|Tunnel connection failed|407 Proxy/i,
    "The proxy refused the connection. Check VS Code's setting http.proxy (or HTTPS_PROXY), then try again.",
    ["retry", "proxySettings", "showLog"],
  ],
  [
    /CERTIFICATE_VERIFY_FAILED|SSLError|certificate verify failed/i,
    "The secure connection to the package index could not be checked (certificate). Behind a company's proxy, point PIP_CERT at its certificate, then try again.",
    ["retry", "showLog"],
  ],
  [
    /name resolution|Name or service not known|getaddrinfo failed|nodename nor servname|Network is unreachable|NewConnectionError|Connection refused|ConnectTimeout|Read timed out|ReadTimeoutError|Connection aborted|Connection reset/i,
    "The package index could not be reached. Check the internet connection, then try again.",
    ["retry", "showLog"],
  ],
  [
    /Permission denied|\[Errno 13\]|Access is denied/i,
    "Some file could not be written (permission denied). The log names it.",
    ["retry", "showLog"],
  ],
  [
    /Requires-Python|requires a different Python/i,
    "This Python does not fit. Choose another one (3.11 or newer).",
    ["choosePython", "showLog"],
  ],
  [
    /from versions: none/i,
    "The package index has nothing that fits this Python, or it could not be reached. Check the internet connection; another Python (3.11, 3.12 or 3.13) may help, too.",
    ["retry", "choosePython", "showLog"],
  ],
  [
    /ResolutionImpossible/,
    "pip found no versions that fit together. Where pip has constraints of yours (PIP_CONSTRAINT, pip.conf), loosen them; otherwise check the internet connection. The log says which versions.",
    ["retry", "showLog"],
  ],
  [
    /Failed building wheel|Failed to build|No matching distribution found/i,
    "Some part is not available for this system and Python. Another Python version may help (3.11, 3.12 or 3.13); the log says which part.",
    ["choosePython", "retry", "showLog"],
  ],
];

/** Whether pip got an answer, and what was asked for is not there: another index may have it. Where pip has constraints,
 * it says that nothing fits together. */
export function isElsewhere(output: string): boolean {
  return /No matching distribution found|ResolutionImpossible/i.test(output) && !CAUSES.slice(0, 4).some(([pattern]) => pattern.test(output));
}

/** What pip's output means. */
export function explain(output: string): Problem {
  for (const [pattern, message, remedies] of CAUSES) {
    if (pattern.test(output)) return new Problem(message, remedies, output);
  }
  const errors = output.split(/\r?\n/).filter((line) => /^\s*error/i.test(line));
  const said = (errors.at(-1) ?? output.trim().split(/\r?\n/).at(-1) ?? "").trim();
  return new Problem(`The installation failed${said ? `: ${said}` : ""}.`, ["retry", "showLog"], output);
}
