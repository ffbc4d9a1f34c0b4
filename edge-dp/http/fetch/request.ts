import type { HeaderFields } from '../fields.ts';
import type { BodySource, IncomingRequest } from '../messages.ts';

/** A native request. */
export class FetchRequest implements IncomingRequest {
  readonly native: Request;
  readonly method: string;
  readonly target: string;
  readonly headers: HeaderFields;
  readonly body: FetchBody | null;
  readonly version: string;

  /** `version`: of HTTP, as the host says. */
  constructor(native: Request, version: string) {
    this.native = native;
    this.method = native.method;
    this.target = targetOf(native.url);
    this.headers = native.headers;
    this.body = native.body === null ? null : new FetchBody(native);
    this.version = version;
  }

  changeableHeaders(): HeaderFields {
    return new Headers(this.native.headers);
  }
}

/** The body of a native request. With GET and HEAD the runtime takes one only from such a request. */
export class FetchBody implements BodySource {
  readonly carrier: Request;

  constructor(carrier: Request) {
    this.carrier = carrier;
  }

  stream(): ReadableStream<Uint8Array> {
    const { body } = this.carrier;
    if (body === null) throw new TypeError('this request has no body');
    return body;
  }
}

/** A native request with the body, to copy one with GET or HEAD from. Null: it is another's, which such a request cannot have. */
export function carrierOf(body: BodySource): Request | null {
  return body instanceof FetchBody ? body.carrier : null;
}

/** Native headers: the very same where they are native already. */
export function nativeHeaders(fields: HeaderFields): Headers {
  return fields instanceof Headers ? fields : new Headers([...fields]);
}

/** Path and query of an absolute URL, byte for byte; workerd keeps them as received but for dot segments. */
function targetOf(url: string): string {
  const path = url.indexOf('/', url.indexOf('://') + 3);
  if (path >= 0) return url.slice(path);
  const question = url.indexOf('?');
  return question < 0 ? '/' : `/${url.slice(question)}`;
}
