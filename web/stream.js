// Server-sent events: bytes become whole events, however they were cut on the way. Not EventSource, which can neither
// post nor carry a key. Source: the HTML standard, section 9.2.6.

const LONGEST_LINE = 16 * 1024 * 1024;

/** Cuts text into lines (LF, CRLF or CR) and lines into the data of events; keeps what is not whole yet. */
export class EventReader {
  #rest = [];
  #restLength = 0;
  #data = [];
  #endedWithReturn = false;

  /** Takes more text; gives back the data of the events that it completed. */
  push(text) {
    const events = [];
    const isSecondHalf = this.#endedWithReturn && text[0] === "\n";
    if (text) this.#endedWithReturn = text.endsWith("\r");
    let from = isSecondHalf ? 1 : 0;
    const ends = /\r\n|\n|\r/g;
    ends.lastIndex = from;
    for (let found = ends.exec(text); found; found = ends.exec(text)) {
      this.#line(this.#take(text.slice(from, found.index)), events);
      from = ends.lastIndex;
    }
    this.#keep(text.slice(from));
    return events;
  }

  #take(end) {
    const line = this.#rest.join("") + end;
    this.#rest = [];
    this.#restLength = 0;
    return line;
  }

  #keep(text) {
    if (text) this.#rest.push(text);
    this.#restLength += text.length;
    if (this.#restLength > LONGEST_LINE) throw new RangeError("the server sent a line of more than 16 MiB");
  }

  #line(line, events) {
    if (line === "") {
      if (this.#data.length > 0) events.push(this.#data.join("\n"));
      this.#data = [];
    } else if (line.startsWith("data:")) {
      this.#data.push(line.slice(line[5] === " " ? 6 : 5));
    }
  }
}

/** The data of each event of a body, as it arrives. */
export async function* eventsOf(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const lines = new EventReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* lines.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
