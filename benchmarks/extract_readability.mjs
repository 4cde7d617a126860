// Readability.js with linkedom behind the protocol of extract_candidates.py: a JSON object a line, in and out.
// Argument: the folder whose node_modules holds @mozilla/readability and linkedom.
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';

const send = (reply) => process.stdout.write(JSON.stringify(reply) + '\n');

let Readability, parseHTML;
try {
  const require = createRequire(resolve(process.argv[2], 'package.json'));
  ({ Readability } = require('@mozilla/readability'));
  ({ parseHTML } = require('linkedom'));
} catch (error) {
  send({ missing: error.message.split('\n')[0] });
  process.exit(1);
}
send({ ready: true });

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const { html } = JSON.parse(line);
  const started = process.cpuUsage();
  try {
    const { document } = parseHTML(html);
    const text = new Readability(document).parse()?.textContent ?? '';
    const { user, system } = process.cpuUsage(started);
    send({ text, seconds: (user + system) / 1e6 });
  } catch (error) {
    send({ error: String(error).slice(0, 200) });
  }
}
