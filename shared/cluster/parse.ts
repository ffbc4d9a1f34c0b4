import {
  arrayOf,
  integer,
  type JsonObject,
  json,
  object,
  oneOf,
  recordOf,
  ShapeError,
  string,
  stringLike,
} from '../bundle/shape.ts';
import type { FromDataPlane, NodeDescription } from './messages.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Beyond these a description is refused: it is stored and shown. */
const NAME_LENGTH = 253;
const ENTRIES = 1000;

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
        reason: string(read.reason, 'rejected.reason').slice(0, 2000),
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
        status: integer(read.status, 'explained.status'),
        body: object(read.body, 'explained.body'),
      };
    default:
      return null;
  }
}

function nodeDescription(value: unknown): NodeDescription {
  const read: JsonObject = object(value, 'hello.node');
  return {
    id: stringLike(read.id, 'hello.node.id', UUID, 'a UUID in lower case'),
    hostname: name(read.hostname, 'hello.node.hostname'),
    version: name(read.version, 'hello.node.version'),
    host: oneOf(read.host, 'hello.node.host', ['workerd', 'miniflare', 'cloudflare']),
    group: name(read.group, 'hello.node.group'),
    labels: limited(recordOf(read.labels, 'hello.node.labels', name), 'hello.node.labels'),
    plugins: limited(recordOf(read.plugins, 'hello.node.plugins', name), 'hello.node.plugins'),
    capabilities: arrayOf(read.capabilities, 'hello.node.capabilities', name),
  };
}

function name(value: unknown, where: string): string {
  const read = string(value, where);
  if (read.length > NAME_LENGTH) throw new ShapeError(`${where}: longer than ${NAME_LENGTH} characters`);
  return read;
}

function limited<T>(record: Readonly<Record<string, T>>, where: string): Readonly<Record<string, T>> {
  if (Object.keys(record).length > ENTRIES) throw new ShapeError(`${where}: more than ${ENTRIES} entries`);
  return record;
}

function configHash(value: unknown, where: string): string {
  return stringLike(value, where, /^[0-9a-f]{32}$/, '32 lower-case hex digits');
}

function nullable<T>(value: unknown, where: string, read: (value: unknown, where: string) => T): T | null {
  return value === null || value === undefined ? null : read(value, where);
}
