import { utf8 } from '../bundle/canonical.ts';
import {
  array,
  arrayOf,
  integer,
  json,
  nullable,
  object,
  oneOf,
  recordOf,
  ShapeError,
  string,
  stringLike,
} from '../bundle/shape.ts';
import type { Row } from '../record.ts';
import { withoutUnseen } from '../unseen.ts';
import { UUID } from '../uuid.ts';
import { LARGEST } from './bounds.ts';
import { CAPABILITIES } from './capabilities.ts';
import { parseCounts } from './counts.ts';
import { HOST_KINDS } from './hosts.ts';
import { labelsFault } from './labels.ts';
import type { FromDataPlane, NodeDescription } from './messages.ts';
import { MOST_CHANGES, parseRecordChange, parseRecordPosition } from './records.ts';

/** Beyond these a description is refused: it is stored and shown. */
const NAME_LENGTH = 253;
const PLUGINS = 250;
const PLUGIN_NAME = /^[A-Za-z0-9][\w.-]{0,62}$/;
const VERSION = /^[\w.+-]{1,64}$/;
const CAPABILITIES_LISTED = 100;
const REASON_LENGTH = 2000;
/** Milliseconds: a day. */
const LONGEST_LOAD = 86_400_000;

/** Bytes of a message that holds little. */
const SMALL = 1 << 10;
/** Bytes of a heartbeat around its health. */
const AROUND_HEALTH = 1 << 10;

const LARGEST_OF: Readonly<Record<FromDataPlane['type'], number>> = {
  hello: LARGEST.hello,
  applied: SMALL,
  rejected: LARGEST.message,
  heartbeat: LARGEST.health + AROUND_HEALTH,
  explained: LARGEST.message,
  records: LARGEST.message,
  records_known: SMALL,
  counts: LARGEST.hello,
};

/** base64url of 16 to 64 bytes. */
const NONCE = /^[A-Za-z0-9_-]{22,86}$/;

/**
 * Reads a message of a data plane. Null for a type this version does not know. Throws `ShapeError` naming the member
 * of a known type that is wrong, or too large; members that are not known are ignored.
 */
export function parseFromDataPlane(text: string): FromDataPlane | null {
  const read = object(json(text, 'message'), 'message');
  const type = string(read.type, 'message.type');
  if (!isKnown(type)) return null;
  const largest = LARGEST_OF[type];
  const bytes = text.length > largest ? text.length : utf8(text).length;
  if (bytes > largest) throw new ShapeError(`${type}: ${bytes} bytes or more, of ${largest} that are allowed`);
  switch (type) {
    case 'hello':
      return {
        type: 'hello',
        node: nodeDescription(read.node),
        manifest: read.manifest === null ? null : string(read.manifest, 'hello.manifest'),
        ...(read.proof === undefined ? {} : { proof: string(read.proof, 'hello.proof') }),
        ...(read.assignable === true ? { assignable: true } : {}),
        ...(read.nonce === undefined
          ? {}
          : { nonce: stringLike(read.nonce, 'hello.nonce', NONCE, 'base64url of 16 to 64 bytes') }),
      };
    case 'applied':
      return {
        type: 'applied',
        serial: integer(read.serial, 'applied.serial'),
        config_hash: configHash(read.config_hash, 'applied.config_hash'),
        ...(read.load_ms === undefined ? {} : { load_ms: integer(read.load_ms, 'applied.load_ms', 0, LONGEST_LOAD) }),
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
    case 'records': {
      const changes = array(read.changes, 'records.changes');
      if (changes.length > MOST_CHANGES) throw new ShapeError(`records.changes: more than ${MOST_CHANGES} entries`);
      return {
        type: 'records',
        id: stringLike(read.id, 'records.id', UUID, 'a UUID in lower case'),
        changes: arrayOf(changes, 'records.changes', parseRecordChange),
      };
    }
    case 'counts':
      return {
        type: 'counts',
        id: stringLike(read.id, 'counts.id', UUID, 'a UUID in lower case'),
        ledger: stringLike(read.ledger, 'counts.ledger', UUID, 'a UUID in lower case'),
        counts: parseCounts(read.counts, 'counts.counts'),
      };
    case 'records_known':
      return {
        type: 'records_known',
        position: nullable(read.position, 'records_known.position', parseRecordPosition),
      };
  }
}

function isKnown(type: string): type is FromDataPlane['type'] {
  return Object.hasOwn(LARGEST_OF, type);
}

function nodeDescription(value: unknown): NodeDescription {
  const read: Readonly<Row> = object(value, 'hello.node');
  return {
    id: stringLike(read.id, 'hello.node.id', UUID, 'a UUID in lower case'),
    hostname: name(read.hostname, 'hello.node.hostname'),
    version: version(read.version, 'hello.node.version'),
    host: oneOf(read.host, 'hello.node.host', HOST_KINDS),
    group: name(read.group, 'hello.node.group'),
    labels: labels(read.labels, 'hello.node.labels'),
    plugins: plugins(read.plugins, 'hello.node.plugins'),
    capabilities: capabilities(read.capabilities, 'hello.node.capabilities'),
  };
}

function name(value: unknown, where: string): string {
  const read = string(value, where);
  if (read.length > NAME_LENGTH) throw new ShapeError(`${where}: longer than ${NAME_LENGTH} characters`);
  if (printable(read) !== read) throw new ShapeError(`${where}: holds characters that are not printable`);
  return read;
}

function version(value: unknown, where: string): string {
  return stringLike(value, where, VERSION, 'a version');
}

/** Kong's bounds. */
function labels(value: unknown, where: string): Readonly<Record<string, string>> {
  const read = recordOf(value, where, string);
  const fault = labelsFault(read);
  if (fault !== null) throw new ShapeError(`${where}: ${fault.slice(0, NAME_LENGTH)}`);
  return read;
}

function plugins(value: unknown, where: string): Readonly<Record<string, string>> {
  const read = recordOf(value, where, version);
  const names = Object.keys(read);
  if (names.length > PLUGINS) throw new ShapeError(`${where}: more than ${PLUGINS} entries`);
  for (const name of names) stringLike(name, `${where}: a name`, PLUGIN_NAME, 'the name of a plugin');
  return read;
}

/** Those this version knows: one that is newer may have more. */
function capabilities(value: unknown, where: string): readonly string[] {
  const listed = array(value, where);
  if (listed.length > CAPABILITIES_LISTED) throw new ShapeError(`${where}: more than ${CAPABILITIES_LISTED} entries`);
  const known = listed.filter((one) => typeof one === 'string' && Object.hasOwn(CAPABILITIES, one));
  return [...new Set(known.map(String))];
}

/** What terminals and people can be shown; PostgreSQL keeps neither NUL nor half a surrogate pair. */
function printable(text: string): string {
  return withoutUnseen(text).toWellFormed();
}

function configHash(value: unknown, where: string): string {
  return stringLike(value, where, /^[0-9a-f]{32}$/, '32 lower-case hex digits');
}
