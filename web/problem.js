// What went wrong in the server's words, and the next step: {error: {message, hint}} or Ollama's {error: "text"}.

export class ServerError extends Error {
  constructor(message, hint, status) {
    super(message);
    this.hint = hint ?? "";
    this.status = status;
  }

  static from(body, status) {
    const error = body?.error;
    const said = typeof error === "string" ? error : error?.message;
    const message = typeof said === "string" && said ? said : `The server answered with status ${status}.`;
    return new ServerError(message, typeof error?.hint === "string" ? error.hint : "", status);
  }

  /** What fetch throws where no server answers. */
  static unreachable() {
    return new ServerError("The server does not answer.", "Is `hearth serve` still running, and is this device in its network?", 0);
  }
}
