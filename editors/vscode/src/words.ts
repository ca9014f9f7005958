// Numbers and figures of a version in plain words, for the tooltip and the side bar. Pure.
import type { Version } from "./protocol";

export function decimal(value: number, digits = 2): string {
  return value.toFixed(digits);
}

export function percentOf(value: number): string {
  return `${Math.round(value * 100)} %`;
}

/** "held-out loss 1.53 → 1.16, 20 % → 25 % of holes filled exactly", or "". */
export function gains(version: Version): string {
  const parts: string[] = [];
  if (typeof version.base_nll === "number" && typeof version.candidate_nll === "number") {
    parts.push(`held-out loss ${decimal(version.base_nll)} → ${decimal(version.candidate_nll)}`);
  }
  if (typeof version.base_exact_match === "number" && typeof version.candidate_exact_match === "number") {
    parts.push(`${percentOf(version.base_exact_match)} → ${percentOf(version.candidate_exact_match)} of holes filled exactly`);
  }
  return parts.join(", ");
}

/** "3 hours ago". */
export function age(iso: string | null | undefined, now: number = Date.now()): string {
  const at = iso ? Date.parse(iso) : NaN;
  if (Number.isNaN(at)) return "";
  const seconds = Math.max(0, (now - at) / 1000);
  for (const [size, name] of [[86_400, "day"], [3600, "hour"], [60, "minute"]] as const) {
    const count = Math.floor(seconds / size);
    if (count >= 1) return `${count} ${name}${count === 1 ? "" : "s"} ago`;
  }
  return "just now";
}

/** "31 of 120 accepted (26 %)", or "". */
export function accepted(usage: { shown?: number; accepted?: number }): string {
  if (!usage.shown) return "";
  const taken = usage.accepted ?? 0;
  return `${taken} of ${usage.shown} suggestions accepted (${percentOf(taken / usage.shown)})`;
}
