/** Why the operator cannot run, in one line that says what to do. */
export class OperatorError extends Error {
  override readonly name = 'OperatorError';
}
