/** A bare proxy on Node, `node bare-proxy.ts UPSTREAM_PORT`: node:http in front, undici behind, raw header arrays, nothing else. Prints its port. */
import { createServer } from 'node:http';
import { type Dispatcher, Pool } from 'undici';

const pool = new Pool(`http://127.0.0.1:${process.argv[2]}`);
const server = createServer((request, response) => {
  const { method = 'GET', url = '/', rawHeaders } = request;
  const headers = rawHeaders.filter((_, at) => !/^(?:connection|host)$/i.test(rawHeaders[at - (at % 2)] ?? ''));
  const handler: Dispatcher.DispatchHandler = {
    onRequestStart: () => undefined,
    onResponseStart(controller, status, _headers, message) {
      const raw = Array.isArray(controller.rawHeaders) ? controller.rawHeaders : [];
      response.sendDate = false;
      response.writeHead(
        status,
        message,
        raw.map((part) => part.toString('latin1')),
      );
    },
    onResponseData: (_controller, chunk) => void response.write(chunk),
    onResponseEnd: () => void response.end(),
    onResponseError: () => void response.destroy(),
  };
  pool.dispatch({ method, path: url, headers }, handler);
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.stdout.write(String(typeof address === 'object' && address !== null ? address.port : 0));
});
