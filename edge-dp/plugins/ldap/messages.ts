import { BerError, type Element, element, integer, readElement, readElements, readInteger } from './ber.ts';

/** Messages of LDAP version 3 (RFC 4511), as far as a client that only binds has to know them. */

const TAG = { integer: 0x02, octetString: 0x04, enumerated: 0x0a, sequence: 0x30 } as const;
const OPERATION = { bindRequest: 0x60, bindResponse: 0x61, extendedRequest: 0x77, extendedResponse: 0x78 } as const;
/** `[0]` of the choices of a bind's authentication, and of an extended request's members. */
const CONTEXT_0 = 0x80;
const VERSION = 3;

/** The server's last word before it closes the connection (RFC 4511 section 4.4.1). */
const NOTICE_OF_DISCONNECTION = 0;
const START_TLS = '1.3.6.1.4.1.1466.20037';

/** Longest message taken from a server: results are short. */
const LONGEST = 64 * 1024;

/** What a server says of an operation. */
export interface Result {
  readonly code: number;
  /** In the server's own words; may be empty. */
  readonly message: string;
}

/** A message of the server, and how many bytes it took. */
export interface Answer {
  readonly id: number;
  readonly kind: 'bind' | 'extended';
  readonly result: Result;
  readonly size: number;
}

/** RFC 4513 section 5.1.3: an empty password would be no authentication at all, and is the caller's to refuse. */
export function simpleBind(id: number, name: string, password: Uint8Array): Uint8Array {
  return message(
    id,
    element(
      OPERATION.bindRequest,
      integer(TAG.integer, VERSION),
      element(TAG.octetString, utf8(name)),
      element(CONTEXT_0, password),
    ),
  );
}

export function startTls(id: number): Uint8Array {
  return message(id, element(OPERATION.extendedRequest, element(CONTEXT_0, utf8(START_TLS))));
}

/** The first message in the bytes; null while more must come. Throws `BerError` for what is none, or none that is expected. */
export function readAnswer(bytes: Uint8Array): Answer | null {
  const envelope = readElement(bytes, LONGEST);
  if (envelope === null) return null;
  const [id, operation] = envelope.tag === TAG.sequence ? readElements(envelope.content) : [];
  if (id?.tag !== TAG.integer || operation === undefined) throw new BerError('no message of LDAP');
  const kind = KINDS.get(operation.tag);
  if (kind === undefined) throw new BerError(`an operation nobody asked for (0x${operation.tag.toString(16)})`);
  return { id: readInteger(id), kind, result: readResult(operation), size: envelope.size };
}

const KINDS: ReadonlyMap<number, Answer['kind']> = new Map([
  [OPERATION.bindResponse, 'bind'],
  [OPERATION.extendedResponse, 'extended'],
]);

/** Whether it is the server's farewell and not the answer to anything. */
export function isFarewell({ id }: Answer): boolean {
  return id === NOTICE_OF_DISCONNECTION;
}

/** COMPONENTS OF LDAPResult; what follows is of no use here. */
function readResult({ content }: Element): Result {
  const [code, , words] = readElements(content);
  if (code?.tag !== TAG.enumerated || words?.tag !== TAG.octetString) throw new BerError('no result of LDAP');
  return { code: readInteger(code), message: new TextDecoder().decode(words.content) };
}

function message(id: number, operation: Uint8Array): Uint8Array {
  return element(TAG.sequence, integer(TAG.integer, id), operation);
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
