// The state in a few words: icon, text and colour of the status-bar item. Pure, so that it can be tested without VS
// Code. Knows nothing of menus or clicks.
import type { ServerStatus } from "./protocol";

export interface Shown {
  icon: string;
  /** What follows "Tailora: "; empty when all is well. */
  text: string;
  severity: "none" | "warning" | "error";
  /** A sentence for the tooltip. */
  message: string;
}

type PhaseLike = { kind: string; step?: string; seconds?: number; said?: string; message?: string };

export function describe(phase: PhaseLike, status: ServerStatus | null, here: string | null): Shown {
  const say = (icon: string, text: string, message: string, severity: Shown["severity"] = "none"): Shown => ({ icon, text, message, severity });
  switch (phase.kind) {
    case "finding":
      return say("sync~spin", "looking for the server", "Looking for the language server");
    case "notInstalled":
      return say("cloud-download", "not installed", "The language server is not installed; click to install it", "warning");
    case "installing":
      return say("sync~spin", "installing", phase.step ?? "");
    case "restarting":
      return say("sync~spin", `restarting in ${phase.seconds} s`, `The language server ended unexpectedly and is started again${phase.said ? `. It last said: ${phase.said}` : ""}`, "warning");
    case "failed":
      return say("error", "error", phase.message ?? "", "error");
    case "stopped":
      return say("circle-slash", "stopped", "The language server is stopped");
    case "starting":
      return say("sync~spin", "starting", "Starting the language server");
    default:
      return running(status, here, say);
  }
}

function running(status: ServerStatus | null, here: string | null, say: (icon: string, text: string, message: string, severity?: Shown["severity"]) => Shown): Shown {
  const message = status?.message ?? "";
  const done = percent(status?.model?.progress);
  if (!status) return say("sync~spin", "starting", "Starting");
  switch (status.state) {
    case "starting":
      return say("sync~spin", "starting", message || "Starting");
    case "error":
      return say("warning", "error", message, "warning");
    case "model_missing":
      return say("cloud-download", "model missing", `The model ${status.model?.name ?? ""} is not on this machine; click to get it`.replace("  ", " "), "warning");
    case "fetching":
      return say("sync~spin", `getting the model${done}`, message);
    case "off":
      return say("circle-slash", "off", message);
  }
  if (here) return say("circle-slash", "off here", here);
  switch (status.state) {
    case "loading":
      return say("sync~spin", `loading${done}`, message);
    case "training":
      return say("sync~spin", `learning${percent(status.project?.progress)}`, message);
    case "paused":
      return say("debug-pause", "paused", message);
    case "ready":
      return say("check", "", message);
    default:
      return say("info", status.state, message); // a state of a newer server
  }
}

function percent(fraction: number | null | undefined): string {
  return typeof fraction === "number" ? ` ${Math.round(fraction * 100)} %` : "";
}
