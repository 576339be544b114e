// Sends HTTP requests at a steady rate until it is told to stop, then prints what came of them: run as its own process.
import { Agent, request } from 'node:http';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    url: { type: 'string', default: 'http://127.0.0.1:8080/' },
    /** Requests a second. */
    rate: { type: 'string', default: '50' },
  },
});

let sent = 0;
let succeeded = 0;
const failures = new Map<string, number>();
const agent = new Agent({ keepAlive: true, maxSockets: 8 });

function fail(reason: string): void {
  failures.set(reason, (failures.get(reason) ?? 0) + 1);
}

function send(): void {
  sent += 1;
  const call = request(values.url, { agent, timeout: 10_000 }, (answer) => {
    answer.resume();
    answer.on('end', () => {
      if (answer.statusCode === 200) succeeded += 1;
      else fail(`status ${answer.statusCode}`);
    });
    answer.on('error', (error) => fail(error.message));
  });
  call.on('timeout', () => call.destroy(new Error('timeout')));
  call.on('error', (error) => fail(error.message));
  call.end();
}

const timer = setInterval(send, 1000 / Number(values.rate));
console.log('sending');

process.once('SIGTERM', () => {
  clearInterval(timer);
  const finish = (): void => {
    const summary = { sent, succeeded, failures: Object.fromEntries(failures) };
    process.stdout.write(`${JSON.stringify(summary)}\n`, () => process.exit(0));
  };
  const waitForLast = setInterval(() => {
    const failed = [...failures.values()].reduce((a, b) => a + b, 0);
    if (succeeded + failed === sent) finish();
  }, 20);
  setTimeout(finish, 3_000);
  waitForLast.unref();
});
