// Consumes the events of the service with Node's standard library (18 or newer), and resumes after its own death.
//
//     URL=https://ci.example.com KEY=… PLACE=place.txt node examples/stream_consumer.mjs [TAG]
//
// Each event is printed as one line. Its place is written after that: an event may come twice, and none is left out.

import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";

const { URL: url, KEY: key, PLACE: place = "place.txt" } = process.env;
const [tag] = process.argv.slice(2);
const SILENCE_MS = 45_000; // the service sends at least a comment every 15 seconds
const LONGEST_PAUSE_MS = 30_000;

function handle(id, name, data) {
  if (name === "gap") {
    console.log(`events after ${data.after} are gone: look up the jobs that you need`);
    return;
  }
  console.log(`${data.event_id} ${data.kind} ${data.job?.job_id ?? "-"} ${data.job?.state ?? "-"}`);
}

function remember(id) {
  writeFileSync(`${place}.new`, id);
  renameSync(`${place}.new`, place); // either the old place or the new one, never half of it
}

// Lines become events: https://html.spec.whatwg.org/multipage/server-sent-events.html
async function* events(body, alive) {
  let text = "";
  for await (const piece of body.pipeThrough(new TextDecoderStream())) {
    alive();
    const frames = (text + piece).split("\n\n");
    text = frames.pop();
    for (const frame of frames) {
      const fields = {};
      for (const line of frame.split("\n")) {
        const [, name, value] = line.match(/^([^:]*):? ?(.*)$/);
        fields[name] = value;
      }
      if (fields.event) yield fields;
    }
  }
}

async function listen(heard) {
  const headers = { Authorization: `Bearer ${key}` };
  if (existsSync(place)) headers["Last-Event-ID"] = readFileSync(place, "utf8");
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  try {
    const query = tag ? `?tag=${encodeURIComponent(tag)}` : "";
    const answer = await fetch(`${url}/v1/events${query}`, { headers, signal: silence.signal });
    if (!answer.ok) {
      const fatal = answer.status < 500 && answer.status !== 429;
      throw Object.assign(new Error(`HTTP ${answer.status}: ${await answer.text()}`), { fatal });
    }
    console.error("listening");
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
    };
    for await (const { id, event, data } of events(answer.body, alive)) {
      handle(id, event, JSON.parse(data));
      if (id) remember(id);
      heard();
    }
  } finally {
    clearTimeout(timer);
  }
}

for (let pause = 1000; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
  try {
    await listen(() => (pause = 500));
  } catch (error) {
    if (error.fatal) {
      console.error(error.message);
      process.exit(1);
    }
    console.error(`${error.message}; trying again in ${pause} ms`);
  }
  await new Promise((resolve) => setTimeout(resolve, pause));
}
