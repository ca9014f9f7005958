// One window at a time: a lock file that its holder touches every few seconds. A holder that was killed touches it no
// longer, and then the next one takes it. Knows nothing of what is locked.
import { mkdir, open, rm, stat, utimes } from "node:fs/promises";
import * as path from "node:path";

const TOUCH_MS = 3000;
const STALE_MS = 20_000;

/** Holds the lock while `work` runs; `waiting` is called once if another window has it.
 *
 * @throws the signal's reason, if it is aborted while waiting.
 */
export async function withLock<T>(file: string, signal: AbortSignal, waiting: () => void, work: () => Promise<T>): Promise<T> {
  await mkdir(path.dirname(file), { recursive: true });
  for (let first = true; !(await take(file)); first = false) {
    if (first) waiting();
    await new Promise((resolve) => setTimeout(resolve, 500));
    signal.throwIfAborted();
  }
  const touching = setInterval(() => void utimes(file, new Date(), new Date()).catch(() => undefined), TOUCH_MS);
  try {
    return await work();
  } finally {
    clearInterval(touching);
    await rm(file, { force: true });
  }
}

async function take(file: string): Promise<boolean> {
  try {
    const handle = await open(file, "wx");
    await handle.writeFile(String(process.pid));
    await handle.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  const age = await stat(file).then(
    (found) => Date.now() - found.mtimeMs,
    () => 0,
  );
  if (age > STALE_MS) await rm(file, { force: true });
  return false;
}
