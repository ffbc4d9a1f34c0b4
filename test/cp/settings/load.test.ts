import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { describeConfiguration } from '../../../cp/admin/node/configuration.ts';
import { listenersWithoutCertificate, tlsListeners } from '../../../cp/listeners/listener-pair.ts';
import { clientTls } from '../../../cp/settings/client-tls.ts';
import { loadPrefix, loadSettings, SettingsError } from '../../../cp/settings/load.ts';

const folder = mkdtempSync(join(tmpdir(), 'settings-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function conf(content: string): string {
  const file = join(folder, `${randomUUID()}.conf`);
  writeFileSync(file, content);
  return file;
}

function problemsOf(sources: Parameters<typeof loadSettings>[0]): readonly string[] {
  try {
    loadSettings(sources);
  } catch (error) {
    if (error instanceof SettingsError) return error.problems;
    throw error;
  }
  return [];
}

describe('settings', () => {
  it('open a Status API on a control plane where they name an address, and on other roles by default', () => {
    const listens = (role: string, given: Record<string, string> = {}) => {
      const keys = { CLUSTER_CERT: 'a', CLUSTER_CERT_KEY: 'a', BUNDLE_SIGNING_KEY: 'a' };
      const all = Object.entries({ ROLE: role, ...keys, ...given }).map(([name, value]) => [`HOLDFAST_${name}`, value]);
      return loadSettings({ environment: Object.fromEntries(all) }).settings.status_listen.map(({ port }) => port);
    };
    expect(listens('control_plane')).toEqual([]);
    expect(listens('control_plane', { STATUS_LISTEN: '127.0.0.1:8100' })).toEqual([8100]);
    expect(listens('traditional')).toEqual([8100]);
  });

  it('run role traditional with an embedded database when nothing is set', () => {
    const { settings, origins } = loadSettings({ environment: {} });
    expect(settings).toMatchObject({
      role: 'traditional',
      prefix: '.holdfast',
      database: 'embedded',
      admin_listen: [{ host: '127.0.0.1', port: 8001, tls: false }],
      proxy_listen: [{ host: '0.0.0.0', port: 8000, tls: false }],
      headers: ['server_tokens', 'latency_tokens', 'X-Kong-Request-Id'],
      cluster_control_plane: [{ host: '127.0.0.1', port: 8005 }],
      pg_password: null,
    });
    expect(origins.size).toBe(0);
  });

  it('come from the file, then KONG_, then HOLDFAST_, then the command line, and remember from where', () => {
    const file = conf(`
      # a comment
      pg_host = from-file   # trailing comment
      pg_user = "quoted \\# user"
      pg_database=from-file
      admin_listen = 127.0.0.1:9001 reuseport backlog=16384 so_keepalive=30m::10, [::1]:9444 http2 ssl ipv6only=on
      trusted_ips = 10.0.0.0/8,::1
      admin_ssl_cert = admin.crt
      admin_ssl_cert_key = admin.key
    `);
    const { settings, origins } = loadSettings({
      conf: file,
      environment: { KONG_PG_HOST: 'kong', HOLDFAST_PG_HOST: 'holdfast', KONG_PG_DATABASE: 'kong', PATH: '/bin' },
      overrides: { prefix: '/tmp/p' },
    });
    expect(settings).toMatchObject({
      pg_host: 'holdfast',
      pg_user: 'quoted # user',
      pg_database: 'kong',
      prefix: '/tmp/p',
      trusted_ips: ['10.0.0.0/8', '::1'],
      admin_listen: [
        { host: '127.0.0.1', port: 9001, tls: false },
        { host: '::1', port: 9444, tls: true },
      ],
    });
    expect(origins.get('pg_host')).toBe('environment variable HOLDFAST_PG_HOST');
    expect(origins.get('pg_user')).toBe(`${file}:4`);
    expect(origins.get('prefix')).toBe('command line');
  });

  it('are all checked at once, each problem naming setting, value, origin and what is allowed', () => {
    const file = conf('pg_port = 70000\nthis is no setting\nproxy_lisen = 0.0.0.0:80\n');
    expect(
      problemsOf({ conf: file, environment: { HOLDFAST_ROLE: 'boss', KONG_ADMIN_LISTEN: '300.1.1.1:80' } }),
    ).toEqual([
      `${file}:2: expected 'name = value', found 'this is no setting'`,
      `role = 'boss' (environment variable HOLDFAST_ROLE) is not allowed; allowed: 'traditional', 'control_plane', 'data_plane'`,
      `pg_port = '70000' (${file}:1) is not allowed; allowed: a whole number from 1 to 65535`,
      `admin_listen = '300.1.1.1:80' (environment variable KONG_ADMIN_LISTEN) is not allowed; allowed: 'off', or comma-separated 'host:port' with optional 'ssl', 'http2', 'reuseport', 'deferred', 'bind', 'backlog=N', 'ipv6only=on', 'so_keepalive=…' ('proxy_protocol' and 'ipv6only=off' are not supported)`,
      `proxy_lisen = '0.0.0.0:80' (${file}:3) is not a setting of Holdfast; did you mean 'proxy_listen'?`,
    ]);
  });

  it("take a time in nginx's notation, and nothing else", () => {
    const read = (text: string) =>
      loadSettings({ environment: { HOLDFAST_NGINX_HTTP_CLIENT_BODY_TIMEOUT: text } }).settings
        .nginx_http_client_body_timeout;
    expect(['90', '60s', '500ms', '2m', '1h', '1d'].map(read)).toEqual([
      90_000, 60_000, 500, 120_000, 3_600_000, 86_400_000,
    ]);
    for (const wrong of ['0', '-1', '1.5s', 'NaN', '60 s', '25h', '2d'])
      expect(() => read(wrong), wrong).toThrow('is not allowed');
  });

  it('take how clients may speak TLS, and name what has no effect beside other settings', () => {
    const read = (environment: Record<string, string>) => loadSettings({ environment });
    const problems = (environment: Record<string, string>) => problemsOf({ environment });
    expect(clientTls(read({}).settings)).toMatchObject({ versions: ['TLSv1.2', 'TLSv1.3'], dhparam: 'ffdhe2048' });
    const custom = {
      KONG_SSL_CIPHER_SUITE: 'custom',
      KONG_SSL_CIPHERS: 'AES128-SHA',
      KONG_SSL_PROTOCOLS: 'TLSv1.1 TLSv1',
    };
    expect(clientTls(read(custom).settings)).toEqual({
      versions: ['TLSv1', 'TLSv1.1'],
      ciphers: 'AES128-SHA',
      preferServerCiphers: true,
      dhparam: null,
    });
    // As in Kong: the ciphers of OpenSSL.
    expect(clientTls(read({ KONG_SSL_CIPHER_SUITE: 'custom', KONG_SSL_PROTOCOLS: 'TLSv1.3' }).settings)).toMatchObject({
      versions: ['TLSv1.3'],
      ciphers: null,
    });
    expect(problems({ ...custom, KONG_SSL_CIPHERS: 'nonsense' })).toEqual([
      expect.stringContaining("no list of ciphers as 'openssl ciphers' reads it"),
    ]);
    expect(problems({ KONG_SSL_PROTOCOLS: 'SSLv3' })).toEqual([expect.stringContaining('is not allowed')]);
    expect(problems({ KONG_SSL_CERT: 'a.crt, b.crt', KONG_SSL_CERT_KEY: 'a.key' })).toEqual([
      'ssl_cert and ssl_cert_key must have equally many entries, in the same order',
    ]);
    for (const [name, listener] of [
      ['ssl_cert', 'proxy_listen'],
      ['ssl_cert', 'stream_listen'],
      ['status_ssl_cert_key', 'status_listen'],
      ['admin_ssl_cert', 'admin_listen'],
      ['admin_gui_ssl_cert_key', 'admin_gui_listen'],
    ] as const) {
      const half = { [`KONG_${name.toUpperCase()}`]: 'a.pem', KONG_DATA_PLANE_HOST: 'node' };
      expect(read(half).warnings, name).toEqual([expect.stringContaining(`${name} has no effect: no address of`)]);
      expect(problems({ ...half, [`KONG_${listener.toUpperCase()}`]: '127.0.0.1:1 ssl' }), listener).toEqual([
        expect.stringContaining('go together: set both or neither'),
      ]);
    }
    const node = { KONG_DATA_PLANE_HOST: 'node', KONG_SSL_CIPHERS: 'AES128-SHA', KONG_SSL_PREFER_SERVER_CIPHERS: 'on' };
    expect(read(node).warnings).toEqual(["ssl_ciphers has no effect: ssl_cipher_suite is 'intermediate'"]);
    expect(read({ KONG_SSL_CIPHER_SUITE: 'modern' }).warnings).toEqual([
      "ssl_cipher_suite has no effect: data_plane_host is 'workerd'; it needs 'node'",
    ]);
  });

  it("take nginx's limits by their older names and those of the proxy's listeners as well", () => {
    const { settings, warnings } = loadSettings({
      conf: conf(
        'client_max_body_size = 8m\nnginx_proxy_large_client_header_buffers = 8 16k\nnginx_proxy_keepalive_timeout = 0\nnginx_sproxy_proxy_protocol = on',
      ),
      environment: { KONG_DATA_PLANE_HOST: 'node' },
    });
    expect(settings).toMatchObject({
      nginx_http_client_max_body_size: 8 << 20,
      nginx_http_large_client_header_buffers: { count: 8, size: 16 << 10 },
      nginx_http_keepalive_timeout: 0,
      nginx_stream_proxy_protocol: true,
    });
    expect(warnings).toEqual([]);
  });

  it('never print a secret', () => {
    const problems = problemsOf({ environment: { HOLDFAST_PG_PASWORD: 'hunter2', HOLDFAST_ROLE: 'x' } });
    expect(problems).toHaveLength(2);
    expect(problems.join()).not.toContain('hunter2');
    // A secret of a kind that takes any text can only be wrong together with others.
    const half = problemsOf({
      environment: { HOLDFAST_SSL_CERT_KEY: 'hunter2', HOLDFAST_PROXY_LISTEN: '127.0.0.1:8443 ssl' },
    });
    expect(half).toEqual(['ssl_cert and ssl_cert_key go together: set both or neither']);
  });

  it('warn about properties of Kong that have no counterpart instead of refusing a kong.conf', () => {
    const { warnings } = loadSettings({ conf: conf('nginx_http_gzip = on\nhost_ports = 8000'), environment: {} });
    expect(warnings).toEqual([
      expect.stringMatching(/^without effect, .*: nginx_http_gzip \(.*:1\), host_ports \(.*:2\)$/),
    ]);
  });

  it('take a whole kong.conf of Kong 3.9, every line of it in force, and name what has no effect', () => {
    const { settings, warnings } = loadSettings({
      conf: join(import.meta.dirname, 'kong.conf'),
      environment: {},
    });
    expect(settings).toMatchObject({ role: 'traditional', database: 'postgres', pg_schema: 'public', ssl_cert: null });
    expect(warnings).toEqual([expect.stringMatching(/^without effect, .*: admin_error_log \(.*worker_consistency/)]);
  });

  it('take what the documents of Kong tell people to write: hybrid mode, plugin servers, Enterprise', () => {
    const file = conf(`
      cluster_telemetry_endpoint = cp.example.com:8006
      cluster_telemetry_server_name = tp.example.com
      pluginserver_names = go
      pluginserver_go_socket = /run/go.sock
      pluginserver_go_start_cmd = /usr/local/bin/go
      enforce_rbac = on
      admin_gui_auth = basic-auth
      admin_gui_session_conf = {"secret":"hunter2"}
      portal = off
      vitals = on
      keyring_enabled = on
      smtp_mock = on
      license_path = /etc/license.json
      cassandra_contact_points = 127.0.0.1
      router_consistency = strict
      go_plugins_dir = off
    `);
    const { settings, warnings } = loadSettings({ conf: file, environment: {} });
    expect(settings).toMatchObject({
      cluster_telemetry_endpoint: [{ host: 'cp.example.com', port: 8006 }],
      cluster_telemetry_server_name: 'tp.example.com',
    });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(
      /pluginserver_go_start_cmd .*enforce_rbac .*license_path .*cassandra_contact_points .*go_plugins_dir/s,
    );
    expect(warnings[0]).not.toContain('hunter2');
    // Our own names are still asked for as they are.
    expect(problemsOf({ conf: conf('cluster_telemetry_lisen = off\n'), environment: {} })[0]).toContain(
      "did you mean 'cluster_telemetry_listen'?",
    );
  });

  it('take those of the DNS client that new_dns_client stands for, where it is on', () => {
    const environment = {
      KONG_RESOLVER_ADDRESS: '192.0.2.1, [2001:db8::1]:5353',
      KONG_RESOLVER_HOSTS_FILE: conf(''),
      KONG_RESOLVER_FAMILY: 'SRV,AAAA',
      KONG_RESOLVER_VALID_TTL: '7',
      KONG_RESOLVER_ERROR_TTL: '8',
      KONG_DNS_RESOLVER: '192.0.2.9',
    };
    const on = loadSettings({ environment: { ...environment, KONG_NEW_DNS_CLIENT: 'on' } });
    expect(on.settings).toMatchObject({
      dns_resolver: ['192.0.2.1', '[2001:db8::1]:5353'],
      dns_hostsfile: environment.KONG_RESOLVER_HOSTS_FILE,
      dns_order: ['SRV', 'AAAA'],
      dns_valid_ttl: 7,
      dns_error_ttl: 8,
    });
    expect(on.origins.get('dns_resolver')).toBe('environment variable KONG_RESOLVER_ADDRESS');
    expect(on.warnings).toEqual([]);
    expect(loadSettings({ environment }).settings.dns_resolver).toEqual(['192.0.2.9']);
  });

  it('take directives that Kong makes of other settings for these', () => {
    const { settings, warnings } = loadSettings({
      conf: conf(
        'nginx_http_ssl_protocols = TLSv1.3\nnginx_http_ssl_session_timeout = 5m\nnginx_http_ssl_session_tickets = off\n',
      ),
      environment: {
        KONG_DATA_PLANE_HOST: 'node',
        KONG_SSL_CIPHER_SUITE: 'custom',
        KONG_NGINX_MAIN_WORKER_PROCESSES: '3',
        KONG_NGINX_PROXY_REAL_IP_HEADER: 'X-Forwarded-For',
        KONG_NGINX_PROXY_REAL_IP_RECURSIVE: 'on',
        KONG_NGINX_HTTP_SSL_PREFER_SERVER_CIPHERS: 'off',
        KONG_NGINX_HTTP_SSL_DHPARAM: 'ffdhe3072',
        KONG_NGINX_PROXY_PROXY_SSL_VERIFY: 'on',
        KONG_NGINX_LOCATION_PROXY_SSL_TRUSTED_CERTIFICATE: '/etc/ca.pem',
        KONG_NGINX_SPROXY_PROXY_SSL_VERIFY_DEPTH: '5',
      },
    });
    expect(settings).toMatchObject({
      nginx_worker_processes: 3,
      real_ip_header: 'X-Forwarded-For',
      real_ip_recursive: true,
      ssl_protocols: ['TLSv1.3'],
      ssl_prefer_server_ciphers: false,
      ssl_dhparam: 'ffdhe3072',
      nginx_http_proxy_ssl_verify: true,
      nginx_http_proxy_ssl_trusted_certificate: '/etc/ca.pem',
      nginx_stream_proxy_ssl_verify: false,
      nginx_stream_proxy_ssl_verify_depth: 5,
      ssl_session_tickets: false,
      ssl_session_timeout: 300_000,
    });
    expect(warnings).toEqual([]);
  });

  it('go on in the next line behind a backslash, and leave out lines that begin with a semicolon', () => {
    const file = conf(
      '; a comment\nplugins = bundled, \\\n  # another\n\n  my-plugin, \\  \r\n  off\npg_host = db ; no comment\npg_user = last\\\n',
    );
    const { settings, origins } = loadSettings({ conf: file, environment: {} });
    expect(settings).toMatchObject({ plugins: ['bundled', 'my-plugin'], pg_host: 'db ; no comment', pg_user: 'last' });
    expect(['plugins', 'pg_host', 'pg_user'].map((name) => origins.get(name as 'plugins'))).toEqual([
      `${file}:2`,
      `${file}:7`,
      `${file}:8`,
    ]);
  });

  it('are read of the environment as Kong reads them: without blanks around them, \\# as #', () => {
    const { settings } = loadSettings({
      environment: { KONG_PG_SSL: ' on\n', KONG_PG_PASSWORD: 'a\\#b#c', HOLDFAST_PG_HOST: '\tdb ' },
    });
    expect(settings).toMatchObject({ pg_ssl: true, pg_password: 'a#b#c', pg_host: 'db' });
  });

  it('are read of files that variables with _FILE name, as in the image of Kong', () => {
    const secret = conf('pass#word\n');
    const environment = {
      KONG_PG_PASSWORD_FILE: secret,
      HOLDFAST_NGINX_MAIN_WORKER_PROCESSES_FILE: conf('2'),
      KONG_PG_USER_FILE: '',
      KONG_VAULT_ENV_FILE: conf('A=b\n'),
    };
    const { settings, origins, warnings } = loadSettings({ environment });
    expect(settings).toMatchObject({
      pg_password: 'pass#word',
      pg_user: 'kong',
      nginx_worker_processes: 2,
      vault_env_file: environment.KONG_VAULT_ENV_FILE,
    });
    expect(origins.get('pg_password')).toBe('environment variable KONG_PG_PASSWORD_FILE');
    expect(warnings).toEqual([]);

    const wrong = { KONG_PG_PASSWORD: 'x', KONG_PG_PASSWORD_FILE: secret, KONG_PG_HOST_FILE: '/nonexistent/host' };
    expect(problemsOf({ environment: wrong })).toEqual([
      'KONG_PG_PASSWORD and KONG_PG_PASSWORD_FILE are both set, and mean the same',
      expect.stringMatching(/^KONG_PG_HOST_FILE = '\/nonexistent\/host' cannot be read: /),
    ]);
    writeFileSync(secret, Buffer.from('pass\xe9', 'latin1'));
    expect(problemsOf({ environment: { KONG_PG_PASSWORD_FILE: secret } })).toEqual([
      `KONG_PG_PASSWORD_FILE = '${secret}': is not UTF-8 text; save it as UTF-8`,
    ]);
    // What only has to find an instance does not need them.
    expect(loadPrefix({ environment: { ...wrong, KONG_PREFIX_FILE: conf('/srv/gateway\n') } })).toBe('/srv/gateway');
    expect(() => loadPrefix({ environment: { KONG_PREFIX_FILE: '/nonexistent' } })).toThrow('cannot be read');
  });

  it('are told from what every object has', () => {
    expect(
      loadSettings({ environment: { KONG_CONSTRUCTOR: '1', KONG_CONSTRUCTOR_FILE: '/nonexistent' } }).warnings,
    ).toEqual([
      expect.stringContaining('KONG_CONSTRUCTOR) has no effect'),
      expect.stringContaining('KONG_CONSTRUCTOR_FILE) has no effect'),
    ]);
    expect(problemsOf({ environment: { HOLDFAST___PROTO__: '1' } })).toEqual([
      expect.stringContaining('is not a setting of Holdfast'),
    ]);
  });

  it('do not take an empty text for an address to listen at', () => {
    const listeners = ['proxy', 'stream', 'admin', 'admin_gui', 'status', 'cluster'].map((name) => `${name}_listen`);
    const environment = Object.fromEntries(listeners.map((name) => [`KONG_${name.toUpperCase()}`, ' ']));
    expect(problemsOf({ environment }).map((problem) => problem.split("'")[0])).toEqual(
      expect.arrayContaining(listeners.map((name) => `${name} = `)),
    );
    expect(problemsOf({ environment })).toHaveLength(listeners.length);
  });

  it('take every property of Kong, written out with its empty default, and leave what is unset unset', () => {
    const file = conf(
      'plugins = bundled\nvaults = bundled\npg_ro_host =\nresolver_family = A\nssl_cert =\nstatus_ssl_cert_key =\ndeclarative_config =\n',
    );
    const { settings, origins, warnings } = loadSettings({ conf: file, environment: {} });
    expect(settings).toMatchObject({ ssl_cert: null, declarative_config: null });
    expect(origins.has('ssl_cert')).toBe(false);
    expect(warnings.join()).toMatch(/: vaults \(\S+\), resolver_family \(\S+\)$/);
  });

  it("take Kong's TLS listeners without a certificate, as Kong's own default file has them", () => {
    const { settings } = loadSettings({
      conf: conf(
        'proxy_listen = 0.0.0.0:8000 reuseport backlog=16384, 0.0.0.0:8443 http2 ssl reuseport backlog=16384\n',
      ),
      environment: {},
    });
    expect(tlsListeners(settings)).toEqual(['proxy_listen']);
    expect(listenersWithoutCertificate(settings)).toEqual(['proxy_listen']);
  });

  it('are read from a file of any editor: byte order mark, CRLF, tabs, quotes, upper case', () => {
    const file = conf('\ufeff# first\r\n\tPG_HOST\t=\t\'db 1\'\t# why\r\npg_user="a\\#b"\r\npg_database =\r\n');
    const { settings, origins } = loadSettings({ conf: file, environment: {} });
    expect(settings).toMatchObject({ pg_host: 'db 1', pg_user: 'a#b', pg_database: 'kong' });
    expect(origins.get('pg_host')).toBe(`${file}:2`);
    writeFileSync(file, Buffer.from('pg_host = db', 'utf16le'));
    expect(problemsOf({ conf: file, environment: {} })).toEqual([`${file}: is not UTF-8 text; save it as UTF-8`]);
  });

  it('are refused where a # would cut a quoted value short', () => {
    const file = conf('pg_password = "hunter#2"\n');
    expect(problemsOf({ conf: file, environment: {} })).toEqual([
      `${file}:1: pg_password: the value's quotes do not match; a # that begins no comment is written \\#`,
    ]);
  });

  it('take the last of a setting that is written twice, and say so', () => {
    const file = conf('pg_host = first\npg_host = second\n');
    const { settings, warnings } = loadSettings({ conf: file, environment: {} });
    expect(settings.pg_host).toBe('second');
    expect(warnings).toEqual([`pg_host is set twice: ${file}:2 wins over ${file}:1`]);
  });

  it('take the config itself as a document, which is shown to nobody', () => {
    const environment = { KONG_DATABASE: 'off', KONG_DECLARATIVE_CONFIG_STRING: '{"consumers":[{"username":"ada"}]}' };
    const { settings } = loadSettings({ environment });
    expect(settings.declarative_config_string).toBe(environment.KONG_DECLARATIVE_CONFIG_STRING);
    expect(JSON.stringify(describeConfiguration(settings, 'notice'))).not.toContain('ada');
  });

  it('take what Kong called otherwise once, unless the new name is set too', () => {
    const old = { KONG_OPENTELEMETRY_TRACING: 'request,router', KONG_OPENTELEMETRY_TRACING_SAMPLING_RATE: '0.5' };
    const { settings, warnings } = loadSettings({ environment: old });
    expect(settings).toMatchObject({ tracing_instrumentations: ['request', 'router'], tracing_sampling_rate: 0.5 });
    expect(warnings).toEqual([]);
    const both = loadSettings({ conf: conf('tracing_instrumentations = balancer\n'), environment: old }).settings;
    expect(both).toMatchObject({ tracing_instrumentations: ['balancer'], tracing_sampling_rate: 0.5 });
  });

  it.each(['off,request', 'request, off'])('refuse steps to trace that contradict each other: %s', (steps) => {
    expect(() => loadSettings({ environment: { KONG_TRACING_INSTRUMENTATIONS: steps } })).toThrow(
      /tracing_instrumentations.*or 'off' by itself/,
    );
  });

  it('take a node id, words of headers in either case, and `off` for all that follows it', () => {
    const { settings } = loadSettings({
      environment: {
        KONG_NODE_ID: '592E1C2B-6678-45AA-80F9-78CFB29F5E31',
        KONG_HEADERS: 'server_tokens, x-kong-upstream-status',
        KONG_ADMIN_GUI_LISTEN: 'off, 127.0.0.1:9002',
        KONG_STREAM_LISTEN: 'off, 127.0.0.1:9003',
        KONG_PLUGINS: 'key-auth, off, cors',
        KONG_HEADERS_UPSTREAM: 'off, X-Kong-Request-Id',
        KONG_ADMIN_LISTEN: 'offshore.test:9001',
      },
    });
    expect(settings).toMatchObject({
      node_id: '592e1c2b-6678-45aa-80f9-78cfb29f5e31',
      headers: ['server_tokens', 'X-Kong-Upstream-Status'],
      admin_gui_listen: [],
      stream_listen: [],
      plugins: ['key-auth', 'cors'],
      headers_upstream: [],
      admin_listen: [{ host: 'offshore.test', port: 9001 }],
    });
  });

  it('say that the web UI can do nothing where the Admin API listens nowhere', () => {
    const warningsOf = (environment: Record<string, string>) => loadSettings({ environment }).warnings;
    expect(warningsOf({ KONG_ADMIN_LISTEN: 'off' })).toEqual([
      expect.stringMatching(/^admin_gui_listen .* the Admin API listens nowhere/),
    ]);
    for (const other of [{ KONG_ADMIN_GUI_LISTEN: 'off' }, { KONG_ADMIN_GUI_API_URL: 'https://cp.test:8444' }])
      expect(warningsOf({ KONG_ADMIN_LISTEN: 'off', ...other })).toEqual([]);
  });

  it('take the ports that clients connect to before a port forward', () => {
    const read = (text: string) => loadSettings({ environment: { KONG_PORT_MAPS: text } }).settings.port_maps;
    expect(read('80:8000, 443:8443')).toEqual({ 8000: 80, 8443: 443 });
    expect(read('')).toEqual({});
    for (const wrong of ['src:dst', '80', '80:70000', '0:8000', '80:8000,'])
      expect(problemsOf({ environment: { KONG_PORT_MAPS: wrong } }).join(), wrong).toContain('is not allowed');
  });

  it('take what a data plane listens for that is no HTTP, and say where nobody would', () => {
    const environment = {
      HOLDFAST_STREAM_LISTEN:
        '0.0.0.0:5432 reuseport backlog=16384, [::]:8443 ssl proxy_protocol ipv6only=off, 0.0.0.0:53 udp',
    };
    const { settings, warnings } = loadSettings({ environment });
    expect(settings.stream_listen).toEqual([
      { host: '0.0.0.0', port: 5432, tls: false, http2: false, udp: false },
      { host: '::', port: 8443, tls: true, http2: false, udp: false, proxyProtocol: true, dualStack: true },
      { host: '0.0.0.0', port: 53, tls: false, http2: false, udp: true },
    ]);
    expect(warnings).toEqual([expect.stringMatching(/^stream_listen .* has no effect: .* set data_plane_host = node/)]);
    const onNode = { ...environment, HOLDFAST_DATA_PLANE_HOST: 'node' };
    expect(loadSettings({ environment: onNode }).warnings).toEqual([]);
    for (const wrong of ['0.0.0.0:53 udp ssl', '0.0.0.0:53 udp proxy_protocol', '0.0.0.0:1 http2'])
      expect(problemsOf({ environment: { HOLDFAST_STREAM_LISTEN: wrong } }).join()).toContain('is not allowed');
  });

  it('leave variables alone that a neighbour in a cluster or an image of Kong sets', () => {
    const environment = {
      KONG_VERSION: '3.9.3',
      HOLDFAST_SERVICE_HOST: '10.0.0.1',
      HOLDFAST_PORT: 'tcp://10.0.0.1:8000',
      HOLDFAST_ADMIN_PORT_8001_TCP_ADDR: '10.0.0.2',
    };
    const { origins, warnings } = loadSettings({ environment });
    expect(origins.size).toBe(0);
    expect(warnings).toEqual([expect.stringMatching(/^version .*KONG_VERSION.* has no effect/)]);
  });

  it.each([
    [{ KONG_PROXY_LISTEN: '0.0.0.0:8000 proxy_protocol' }, /'proxy_protocol' .*not supported/],
    [{ HOLDFAST_ADMIN_SSL_CERT: 'rsa.pem,ecdsa.pem', HOLDFAST_ADMIN_SSL_CERT_KEY: 'a,b' }, /one certificate/],
    [{ HOLDFAST_ROLE: 'data_plane', HOLDFAST_DATABASE: 'postgres' }, /a data plane has no database/],
    [{ HOLDFAST_ROLE: 'control_plane', HOLDFAST_DATABASE: 'off' }, /does not go with role 'control_plane'/],
    [{ HOLDFAST_CLUSTER_MTLS: 'pki' }, /needs cluster_ca_cert/],
    [{ HOLDFAST_CLUSTER_CERT: 'a.crt' }, /cluster_cert and cluster_cert_key go together/],
    [{ HOLDFAST_CLUSTER_OCSP: 'on' }, /needs cluster_mtls = 'pki'/],
    [{ KONG_NODE_ID: 'foobar' }, /^node_id = 'foobar' .* allowed: a UUID$/],
    [{ KONG_HEADERS: 'server_tokens,Foo-Bar' }, /^headers = .*allowed: 'off', or comma-separated 'server_tokens'/],
    [{ KONG_HEADERS_UPSTREAM: 'X-Id' }, /^headers_upstream = .*'X-Kong-Request-Id'$/],
    [{ KONG_DNS_HOSTSFILE: '/nonexistent/hosts' }, /dns_hostsfile = .*there is no such file/],
    [
      { KONG_ROLE: 'control_plane', KONG_CLUSTER_USE_PROXY: 'on', KONG_PROXY_SERVER: 'http://p.test:3128' },
      /cluster_use_proxy = .* is for data planes/,
    ],
    [{ KONG_ROLE: 'control_plane', KONG_ADMIN_LISTEN: 'off' }, /^admin_listen \(.*must have its Admin API/m],
    [{ KONG_ROLE: 'control_plane', KONG_CLUSTER_LISTEN: 'off' }, /^cluster_listen \(.*must listen for data planes/m],
    [{ KONG_ROLE: 'control_plane', KONG_CLUSTER_DP_LABELS: 'a:b' }, /^cluster_dp_labels \(.*is for data planes/m],
    [{ HOLDFAST_DECLARATIVE_CONFIG: 'kong.yml' }, /holdfast config import/],
    [
      { HOLDFAST_DECLARATIVE_CONFIG_STRING: 'consumers: []' },
      /^declarative_config_string is for .*holdfast config import/,
    ],
  ])('refuse combinations that cannot work: %o', (environment, message) => {
    expect(problemsOf({ environment }).join('\n')).toMatch(message);
  });

  it('refer to secrets in the environment and in a file of variables, and show them only as they were written', () => {
    const file = conf('SAFE_TRUSTED=10.0.0.0/8\n');
    const environment = {
      HOLDFAST_DATABASE: 'postgres',
      HOLDFAST_VAULT_ENV_FILE: file,
      HOLDFAST_VAULT_ENV_PREFIX: 'safe_',
      KONG_PG_PASSWORD: '{vault://env/pg-login/password}',
      KONG_PG_USER: '{vault://env/pg-login/user}',
      HOLDFAST_TRUSTED_IPS: '::1, {vault://env/trusted}',
      SAFE_PG_LOGIN: JSON.stringify({ user: 'u-7', password: 'p,w' }),
    };
    const { settings } = loadSettings({ environment });
    expect(settings).toMatchObject({ pg_password: 'p,w', pg_user: 'u-7', trusted_ips: ['::1', '10.0.0.0/8'] });
    const shown = JSON.stringify(describeConfiguration(settings, 'notice'));
    expect(shown).toContain('"pg_user":"{vault://env/pg-login/user}"');
    expect(shown).not.toContain('u-7');
  });

  it.each([
    [
      '{vault://env/absent}',
      "pg_user = '{vault://env/absent}' (environment variable KONG_PG_USER): the variable ABSENT is not set",
    ],
    ['{vault://env/plain/part}', 'PLAIN: its value is no JSON'],
    ['{vault://hcv/x}', "settings can refer to the vault 'env' alone"],
    ['{vault://env/}', 'it names no secret'],
  ])('name the reference that leads nowhere: %s', (reference, message) => {
    const problems = problemsOf({ environment: { KONG_PG_USER: reference, PLAIN: 'sec-ret' } }).join('\n');
    expect(problems).toContain(message);
    expect(problems).not.toContain('sec-ret');
  });

  it('do not show a secret that is not allowed', () => {
    const problems = problemsOf({ environment: { KONG_PG_PORT: '{vault://env/port}', PORT: 'sec-ret' } }).join('\n');
    expect(problems).toContain("pg_port = '{vault://env/port}' (environment variable KONG_PG_PORT) is not allowed");
    expect(problems).not.toContain('sec-ret');
  });

  it('say which file could not be read', () => {
    expect(problemsOf({ conf: '/nonexistent/holdfast.conf', environment: {} })[0]).toMatch(
      /cannot read the configuration file '\/nonexistent\/holdfast.conf'/,
    );
  });
});
