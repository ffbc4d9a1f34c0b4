import { parseMultipart, printMultipart } from '../http/multipart.ts';

/** A request body's named arguments, as `kong.request.get_body` reads them: form, multipart or a JSON object. */
export interface BodyArguments {
  /** Texts under that name; more than one when it is repeated. */
  values(name: string): readonly string[];
  /** The body again, without that name. `contentType` is set when its boundary changed. */
  without(name: string): Promise<{ readonly body: Uint8Array; readonly contentType?: string }>;
}

/** Null for a type that has no named arguments and for a body that is not what its type says. */
export async function parseBodyArguments(contentType: string | null, body: Uint8Array): Promise<BodyArguments | null> {
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase();
  try {
    switch (type) {
      case 'application/x-www-form-urlencoded':
        return formArguments(body);
      case 'application/json':
        return jsonArguments(body);
      case 'multipart/form-data':
        return await multipartArguments(contentType ?? '', body);
      default:
        return null;
    }
  } catch {
    return null;
  }
}

function formArguments(body: Uint8Array): BodyArguments {
  const form = new URLSearchParams(new TextDecoder().decode(body));
  return {
    values: (name) => form.getAll(name),
    async without(name) {
      const kept = new URLSearchParams([...form].filter(([key]) => key !== name));
      return { body: new TextEncoder().encode(kept.toString()) };
    },
  };
}

function jsonArguments(body: Uint8Array): BodyArguments | null {
  const value: unknown = JSON.parse(new TextDecoder().decode(body));
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  const entries = Object.entries(value);
  return {
    values: (name) =>
      entries
        .filter(([key]) => key === name)
        .flatMap(([, item]) => (Array.isArray(item) ? item : [item]))
        .filter((item) => typeof item === 'string'),
    async without(name) {
      const kept = Object.fromEntries(entries.filter(([key]) => key !== name));
      return { body: new TextEncoder().encode(JSON.stringify(kept)) };
    },
  };
}

async function multipartArguments(contentType: string, body: Uint8Array): Promise<BodyArguments> {
  const form = await parseMultipart(contentType, body);
  return {
    values: (name) => form.getAll(name).filter((value) => typeof value === 'string'),
    async without(name) {
      form.delete(name);
      const { body, contentType } = await printMultipart(form);
      return contentType === null ? { body } : { body, contentType };
    },
  };
}
