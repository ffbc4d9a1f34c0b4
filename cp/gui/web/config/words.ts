import type { FormField } from './schema.ts';

/** Words that are written in another way than a sentence would. */
const ABBREVIATIONS: Readonly<Record<string, string>> = {
  id: 'ID',
  userid: 'user ID',
  ip: 'IP',
  url: 'URL',
  uri: 'URI',
  uris: 'URIs',
  urls: 'URLs',
  tls: 'TLS',
  ssl: 'SSL',
  http: 'HTTP',
  https: 'HTTPS',
  dns: 'DNS',
  jwt: 'JWT',
  jwk: 'JWK',
  pem: 'PEM',
  api: 'API',
  acl: 'ACL',
  ttl: 'TTL',
  snis: 'Server names',
  sni: 'server name',
  aws: 'AWS',
  ca: 'CA',
  rsa: 'RSA',
  json: 'JSON',
  llm: 'LLM',
  csp: 'CSP',
  tcp: 'TCP',
  udp: 'UDP',
  grpc: 'gRPC',
  ldap: 'LDAP',
  kid: 'Key ID',
  hmac: 'HMAC',
  cors: 'CORS',
  db: 'database',
  conf: 'config',
  neg: 'negative',
};

/** `strip_path` as people read it: `Strip path`. */
export function labelOf(name: string): string {
  const words = name.split(/[_-]+/).map((word) => ABBREVIATIONS[word.toLowerCase()] ?? word);
  const text = words.join(' ');
  return text.replace(/^./, (letter) => letter.toUpperCase());
}

/** A label within a sentence: `Key ID` is `key ID`, and `PEM` stays as it is. */
export const inSentence = (label: string): string => label.replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase());

/** What stands below the label of a field: what it means, and what may be in it. */
export function hintOf(field: FormField): string {
  const rule = field.rule === '' ? '' : `${field.rule.replace(/^./, (letter) => letter.toUpperCase())}.`;
  return [field.description, rule].filter((part) => part !== '').join(' ');
}
