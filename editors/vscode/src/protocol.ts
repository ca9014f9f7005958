// What the language server says, as types. Every part may be missing: a server of another version may leave it out.
// Knows nothing of VS Code.

export interface ModelStatus {
  name?: string;
  state?: string;
  progress?: number | null;
  message?: string | null;
  quantization?: string;
  device?: string;
}

export interface Gate {
  version?: string | null;
  decision?: string;
  reason?: string;
  base_nll?: number | null;
  candidate_nll?: number | null;
}

export interface ProjectStatus {
  root?: string;
  trusted?: boolean;
  learning?: boolean;
  state?: string;
  message?: string;
  progress?: number | null;
  serving?: string | null;
  disabled?: boolean;
  withdrawn?: string | null;
  changed_files?: number;
  last_gate?: Gate | null;
}

export interface ServerStatus {
  state: string;
  message?: string;
  model?: ModelStatus | null;
  project?: ProjectStatus | null;
  engine?: { pid?: number; version?: string } | null;
  suggestion?: { shown?: boolean; reason?: string | null };
}

export interface Answer {
  ok: boolean;
  message?: string;
}

export interface HereAnswer extends Answer {
  reason?: string | null;
}

export interface Check {
  name?: string;
  passed?: boolean;
  value?: number | null;
  limit?: number | null;
  message?: string;
}

export interface Usage {
  shown?: number;
  accepted?: number;
  acceptance?: number | null;
  kept_30?: number | null;
  kept_180?: number | null;
}

export interface Version extends Usage {
  version: string;
  status: string;
  created?: string | null;
  parent?: string | null;
  examples?: number | null;
  files?: number | null;
  seconds?: number | null;
  base_nll?: number | null;
  candidate_nll?: number | null;
  base_exact_match?: number | null;
  candidate_exact_match?: number | null;
  reason?: string | null;
  withdrawn?: string | null;
  checks?: Check[];
  left_out?: Record<string, number>;
}

export interface Day {
  day: string;
  version: string;
  shown: number;
  accepted: number;
}

export interface AdaptersAnswer extends Answer {
  root?: string;
  disabled?: boolean;
  paused?: boolean;
  retrain?: string | null;
  forgotten?: string[];
  versions?: Version[];
  foundation?: Usage;
  repair?: { serving?: string | null; versions?: string[] };
  days?: Day[];
}

export interface LearnedAnswer extends Answer {
  learned?: string[];
  left_out?: { path: string; reason: string; detail?: string | null; count?: number | null }[];
  counts?: Record<string, number>;
  history?: { commits?: number; recent_lines?: number; reason?: string | null };
}

export interface DoctorAnswer extends Answer {
  findings?: { check: string; level: string; message: string; advice?: string | null }[];
}

export interface LogAnswer extends Answer {
  path?: string;
}
