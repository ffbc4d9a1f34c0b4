import { CAPABILITIES, type Capability } from './capabilities.ts';

/** What a row asks of the runtime it is served on. */
export interface Requirement {
  readonly capability: Capability;
  /** The field and value that ask for it, and what that is. */
  readonly reason: string;
}

/** That a field of a row, or its value where one is given, asks for a capability. */
export function need(capability: Capability, field: string, value?: unknown): Requirement {
  const what = value === undefined ? `'${field}' is set` : `'${field}' is ${JSON.stringify(value)}`;
  return { capability, reason: `${what}, which needs ${CAPABILITIES[capability]}` };
}
