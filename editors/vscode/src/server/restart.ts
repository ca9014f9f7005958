// How long to wait before a server that crashed is started again, and when to stop trying. Knows nothing of servers.

const DELAYS_S = [1, 2, 4, 8, 16];
const WINDOW_MS = 5 * 60_000;

export class RestartPolicy {
  private restarts: number[] = [];

  /** Seconds to wait, or null: there were five restarts within five minutes, and a sixth would not help. */
  next(now: number = Date.now()): number | null {
    this.restarts = this.restarts.filter((at) => now - at < WINDOW_MS);
    const delay = DELAYS_S[this.restarts.length];
    if (delay === undefined) return null;
    this.restarts.push(now);
    return delay;
  }

  /** The user asked for a start: earlier crashes no longer count. */
  reset(): void {
    this.restarts = [];
  }
}
