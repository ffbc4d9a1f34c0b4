import { arrayOf, integer, json, object, oneOf, recordOf, ShapeError, string, stringLike } from '../bundle/shape.ts';
import type { Row } from '../record.ts';
import { UUID } from '../uuid.ts';
import type { FromDataPlane, NodeDescription } from './messages.ts';

/** Beyond these a description is refused: it is stored and shown. */
const NAME_LENGTH = 253;
const ENTRIES = 1000;
const REASON_LENGTH = 2000;

/** base64url of 16 to 64 bytes. */
const NONCE = /^[A-Za-z0-9_-]{22,86}$/;

/** Control characters would rewrite a terminal, and PostgreSQL keeps neither NUL nor half a surrogate pair. */
const CONTROL = /\p{Cc}+/gu;

/**
 * Reads a message of a data plane. Null for a type this version does not know. Throws `ShapeError` naming the member
 * of a known type that is wrong; members that are not known are ignored.
 */
export function parseFromDataPlane(text: string): FromDataPlane | null {
  const read = object(json(text, 'message'), 'message');
  switch (string(read.type, 'message.type')) {
    case 'hello':
      return {
        type: 'hello',
        node: nodeDescription(read.node),
        manifest: read.manifest === null ? null : string(read.manifest, 'hello.manifest'),
        ...(read.proof === undefined ? {} : { proof: string(read.proof, 'hello.proof') }),
        ...(read.nonce === undefined
          ? {}
          : { nonce: stringLike(read.nonce, 'hello.nonce', NONCE, 'base64url of 16 to 64 bytes') }),
      };
    case 'applied':
      return {
        type: 'applied',
        serial: integer(read.serial, 'applied.serial'),
        config_hash: configHash(read.config_hash, 'applied.config_hash'),
      };
    case 'rejected':
      return {
        type: 'rejected',
        serial: nullable(read.serial, 'rejected.serial', integer),
        reason: printable(string(read.reason, 'rejected.reason')).slice(0, REASON_LENGTH).toWellFormed(),
      };
    case 'heartbeat':
      return {
        type: 'heartbeat',
        serial: nullable(read.serial, 'heartbeat.serial', integer),
        config_hash: nullable(read.config_hash, 'heartbeat.config_hash', configHash),
        ...(read.health === undefined ? {} : { health: object(read.health, 'heartbeat.health') }),
      };
    case 'explained':
      return {
        type: 'explained',
        id: string(read.id, 'explained.id'),
        status: integer(read.status, 'explained.status', 200, 599),
        body: object(read.body, 'explained.body'),
      };
    default:
      return null;
  }
}

function nodeDescription(value: unknown): NodeDescription {
  const read: Readonly<Row> = object(value, 'hello.node');
  return {
    id: stringLike(read.id, 'hello.node.id', UUID, 'a UUID in lower case'),
    hostname: name(read.hostname, 'hello.node.hostname'),
    version: name(read.version, 'hello.node.version'),
    host: oneOf(read.host, 'hello.node.host', ['workerd', 'miniflare', 'cloudflare']),
    group: name(read.group, 'hello.node.group'),
    labels: names(read.labels, 'hello.node.labels'),
    plugins: names(read.plugins, 'hello.node.plugins'),
    capabilities: few(arrayOf(read.capabilities, 'hello.node.capabilities', name), 'hello.node.capabilities'),
  };
}

function name(value: unknown, where: string): string {
  const read = string(value, where);
  if (read.length > NAME_LENGTH) throw new ShapeError(`${where}: longer than ${NAME_LENGTH} characters`);
  if (printable(read) !== read) throw new ShapeError(`${where}: holds characters that are not printable`);
  return read;
}

function names(value: unknown, where: string): Readonly<Record<string, string>> {
  const read = recordOf(value, where, name);
  for (const key of few(Object.keys(read), where)) name(key, `${where}: a key`);
  return read;
}

function few<T>(entries: readonly T[], where: string): readonly T[] {
  if (entries.length > ENTRIES) throw new ShapeError(`${where}: more than ${ENTRIES} entries`);
  return entries;
}

function printable(text: string): string {
  return text.replace(CONTROL, ' ').toWellFormed();
}

function configHash(value: unknown, where: string): string {
  return stringLike(value, where, /^[0-9a-f]{32}$/, '32 lower-case hex digits');
}

function nullable<T>(value: unknown, where: string, read: (value: unknown, where: string) => T): T | null {
  return value === null || value === undefined ? null : read(value, where);
}
