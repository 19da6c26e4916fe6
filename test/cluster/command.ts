import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const execute = promisify(execFile);
const OUTPUT_LIMIT_BYTES = 16 * 1024 * 1024;

/** Runs a command to its end and returns what it prints. Throws with its stderr when it fails. */
export async function run(command: string, ...parameters: readonly string[]): Promise<string> {
  const { stdout } = await execute(command, parameters, { maxBuffer: OUTPUT_LIMIT_BYTES });
  return stdout;
}
