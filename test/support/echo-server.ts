// A small application for tests, run as its own process: answers HTTP with who it is and what it received.
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    name: { type: 'string', default: 'echo' },
    port: { type: 'string', default: '8080' },
    host: { type: 'string', default: '0.0.0.0' },
  },
});

const server = createServer((request, response) => {
  let body = '';
  request.setEncoding('utf8');
  request.on('data', (text: string) => {
    body += text;
  });
  request.on('end', () => {
    const { method, url: path, headers, socket } = request;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ name: values.name, method, path, headers, body, peer: socket.remoteAddress }));
  });
});

server.listen(Number(values.port), values.host, () => console.log(`${values.name} listens on ${values.port}`));
process.once('SIGTERM', () => process.exit(0));
