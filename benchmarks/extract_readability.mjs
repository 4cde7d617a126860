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
  send(JSON.parse(line).map(({ html }) => {
    const started = process.cpuUsage();
    let outcome;
    try {
      const { document } = parseHTML(html);
      outcome = { text: new Readability(document).parse()?.textContent ?? '' };
    } catch (error) {
      outcome = { error: String(error).slice(0, 200) };
    }
    const { user, system } = process.cpuUsage(started);
    return { ...outcome, seconds: (user + system) / 1e6 };
  }));
}
