// What the side bar's page and the extension say to each other. Shared by both, so it imports neither side.
import type { AdaptersAnswer, LearnedAnswer } from "../protocol";

/** All that the page shows. */
export interface ViewState {
  trusted: boolean;
  folder: string | null;
  /** Why there is nothing to show of the server, if so. */
  away: string | null;
  learning: { state: string; message: string; progress: number | null; serving: string | null; disabled: boolean; withdrawn: string | null } | null;
  adapters: AdaptersAnswer | null;
  learned: LearnedAnswer | "asking" | null;
}

export type ToPage = { type: "state"; state: ViewState };

export type FromPage =
  | { type: "ready" | "learned" | "refresh" }
  | { type: "command"; name: "trainNow" | "pauseLearning" | "resumeLearning" | "rollBack" | "disableAdapter" | "enableAdapter" | "manageTrust" | "open" }
  | { type: "use" | "delete"; version: string }
  | { type: "openFile"; path: string };
