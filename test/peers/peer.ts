import { accessSync, constants } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

/** A program of another project that tests run against, and that npm cannot bring. */
interface Peer {
  /** Its names, first come first served. */
  readonly commands: readonly string[];
  /** How it is had: the Debian package, the Python package, the Go module that has it, or the repository that it is built from. */
  readonly install:
    | `apt-get install ${string}`
    | `pip install ${string}`
    | `go install ${string}`
    | `git clone ${string}`;
}

const PEERS = {
  chromium: { commands: ['chromium', 'chromium-browser', 'google-chrome'], install: 'apt-get install chromium' },
  curl: { commands: ['curl'], install: 'apt-get install curl' },
  // Its module replaces others, so that 'go install' does not take it.
  deck: { commands: ['deck'], install: 'git clone https://github.com/Kong/deck && cd deck && go install .' },
  'go-kong': {
    commands: ['go-kong.test'],
    install: 'git clone https://github.com/Kong/go-kong && cd go-kong && go test -c -o ~/go/bin/go-kong.test ./kong',
  },
  grpcurl: { commands: ['grpcurl'], install: 'go install github.com/fullstorydev/grpcurl/cmd/grpcurl@latest' },
  go: { commands: ['go'], install: 'apt-get install golang' },
  helm: { commands: ['helm'], install: 'go install helm.sh/helm/v3/cmd/helm@latest' },
  kubectl: { commands: ['kubectl'], install: 'apt-get install kubernetes-client' },
  kubeconform: { commands: ['kubeconform'], install: 'go install github.com/yannh/kubeconform/cmd/kubeconform@latest' },
  h2load: { commands: ['h2load'], install: 'apt-get install nghttp2-client' },
  h2spec: { commands: ['h2spec'], install: 'go install github.com/summerwind/h2spec/cmd/h2spec@latest' },
  redis: { commands: ['redis-server', 'valkey-server'], install: 'apt-get install redis-server' },
  pg_dump: { commands: ['pg_dump'], install: 'apt-get install postgresql-client' },
  pg_restore: { commands: ['pg_restore'], install: 'apt-get install postgresql-client' },
  psql: { commands: ['psql'], install: 'apt-get install postgresql-client' },
  dig: { commands: ['dig'], install: 'apt-get install bind9-dnsutils' },
  nginx: { commands: ['nginx'], install: 'apt-get install nginx' },
  moto: { commands: ['moto_server'], install: 'pip install "moto[server,awslambda]>=5.2.5"' },
  openssl: { commands: ['openssl'], install: 'apt-get install openssl' },
  prometheus: { commands: ['prometheus'], install: 'apt-get install prometheus' },
  promtool: { commands: ['promtool'], install: 'apt-get install prometheus' },
  pebble: { commands: ['pebble'], install: 'apt-get install pebble' },
  // What a script of these tests imports, it names itself.
  python: { commands: ['python3', 'python'], install: 'apt-get install python3' },
  rsyslog: { commands: ['rsyslogd'], install: 'apt-get install rsyslog' },
  slapadd: { commands: ['slapadd'], install: 'apt-get install slapd' },
  'systemd-analyze': { commands: ['systemd-analyze'], install: 'apt-get install systemd' },
  unshare: { commands: ['unshare'], install: 'apt-get install util-linux' },
  nsenter: { commands: ['nsenter'], install: 'apt-get install util-linux' },
  slapd: { commands: ['slapd'], install: 'apt-get install slapd' },
  statsd_exporter: {
    commands: ['statsd_exporter', 'prometheus-statsd-exporter'],
    install: 'go install github.com/prometheus/statsd_exporter@latest',
  },
} as const satisfies Readonly<Record<string, Peer>>;

/** Where servers are that Debian keeps out of a person's PATH, and where Go puts what it installs. */
const SYSTEM_FOLDERS = ['/usr/sbin', '/usr/local/sbin', join(homedir(), 'go', 'bin')];

/** The path of a peer's executable. Throws, saying how to get it, when this machine has none: no such test is passed over. */
export function peerExecutable(name: keyof typeof PEERS): string {
  const { commands, install } = PEERS[name];
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...SYSTEM_FOLDERS];
  for (const command of commands) {
    for (const folder of folders) {
      const path = join(folder, command);
      if (folder !== '' && isExecutable(path)) return path;
    }
  }
  throw new Error(`these tests need ${commands.join(' or ')}, which is not on this machine: ${install}`);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
