import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { freePorts } from '../free-port.ts';
import { until } from '../until.ts';
import type { Rival } from './rival.ts';

/**
 * nginx as a plain reverse proxy, which keeps the upstream's JSON under `/cached`: one worker, kept connections to the upstream, no log. Null:
 * it is not installed.
 */
export async function startNginx(
  [upstream, grpcUpstream]: readonly number[],
  pair: { cert: string; key: string },
): Promise<Rival | null> {
  if (spawnSync('nginx', ['-v']).status !== 0) return null;
  const folder = mkdtempSync(join(tmpdir(), 'bench nginx '));
  const [plain = 0, tls = 0, http2 = 0, grpc = 0] = await freePorts(4);
  writeFileSync(
    join(folder, 'nginx.conf'),
    // Its worker is to write where this process may.
    `${process.getuid?.() === 0 ? 'user root; ' : ''}daemon off; worker_processes 1; pid "${folder}/pid"; error_log stderr crit;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000000;
  upstream one { server 127.0.0.1:${upstream}; keepalive 256; keepalive_requests 1000000000; }
  upstream calls { server 127.0.0.1:${grpcUpstream}; keepalive 256; keepalive_requests 1000000000; }
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path "${folder}/${kind}";`).join(' ')}
  proxy_cache_path "${folder}/cache" keys_zone=kept:1m;
  server {
    listen 127.0.0.1:${plain}; listen 127.0.0.1:${tls} ssl; listen 127.0.0.1:${http2} http2;
    ssl_certificate "${pair.cert}"; ssl_certificate_key "${pair.key}";
    location /cached { proxy_pass http://one/json; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_cache kept; }
    location / { proxy_pass http://one; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
  server { listen 127.0.0.1:${grpc} http2; location / { grpc_pass grpc://calls; } }
}
`,
  );
  // The binary itself: whoever started it is who is stopped.
  const child = spawn('nginx', ['-p', folder, '-c', join(folder, 'nginx.conf')], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  await until(
    () =>
      fetch(`http://127.0.0.1:${plain}/`).then(
        ({ ok }) => ok,
        () => false,
      ),
    'nginx to serve',
  );
  return {
    name: 'nginx',
    child,
    ports: { plain, tls, http2, grpc },
    stop() {
      child.kill('SIGTERM');
      child.once('exit', () => rmSync(folder, { recursive: true, force: true }));
    },
  };
}
