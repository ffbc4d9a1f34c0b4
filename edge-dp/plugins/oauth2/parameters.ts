import { isRecord } from '../../../shared/record.ts';
import { queryValues } from '../../proxy/query.ts';
import type { GatewayRequest } from '../runtime/request.ts';

/** What a request to an endpoint says (RFC 6749 appendix B): arguments of its query and, before those, of its body. */
export interface Parameters {
  /** Undefined where there is none, and where it is no single text. */
  text(name: string): string | undefined;
  /** Whether there is anything by that name, of whatever kind. */
  has(name: string): boolean;
  /** Sent back as it came (`state`). */
  echo(name: string): string | number | boolean | undefined;
}

/** Bodies are read up to this size. */
const BODY_LIMIT = 1 << 20;

export async function parametersOf(request: GatewayRequest): Promise<Parameters> {
  const body = await bodyOf(request);
  const valueNamed = (name: string): unknown => {
    const inBody = body(name);
    if (inBody !== undefined) return inBody;
    const values = queryValues(request.query, name);
    return values.length > 1 ? values : values[0];
  };
  return {
    text: (name) => {
      const value = valueNamed(name);
      return typeof value === 'string' ? value : undefined;
    },
    has: (name) => valueNamed(name) !== undefined,
    echo: (name) => {
      const value = valueNamed(name);
      return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : undefined;
    },
  };
}

async function bodyOf(request: GatewayRequest): Promise<(name: string) => unknown> {
  if (!WITH_BODY.has(request.method)) return () => undefined;
  const json = /^\s*application\/json\s*(?:;|$)/i.test(request.headers.get('content-type') ?? '');
  if (json) {
    // Not by its texts alone: what is a number is told so.
    const bytes = await request.body.read(BODY_LIMIT);
    const members = bytes === null ? {} : parsed(bytes);
    return (name) => (Object.hasOwn(members, name) ? (members[name] ?? undefined) : undefined);
  }
  const given = await request.body.arguments(BODY_LIMIT);
  return (name) => {
    const values = given?.values(name) ?? [];
    return values.length > 1 ? values : values[0];
  };
}

function parsed(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return isRecord(value) ? value : {};
  } catch {
    return {};
  }
}

const WITH_BODY: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);
