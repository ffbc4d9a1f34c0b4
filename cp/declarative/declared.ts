import { readFileSync } from 'node:fs';
import { messageOf } from '../../shared/thrown.ts';
import type { Settings } from '../settings/properties.ts';

/** A document that the settings name. */
interface DeclaredDocument {
  readonly text: string;
  /** What to call it where something is wrong with it. */
  readonly source: string;
}

/** The document of `declarative_config` or, where that names no file, of `declarative_config_string`; null: there is neither. */
export function declaredDocument({
  declarative_config: file,
  declarative_config_string: text,
}: Settings): DeclaredDocument | null {
  if (file === null) return text === null ? null : { text, source: 'declarative_config_string' };
  if (!/\.(ya?ml|json)$/.test(file)) {
    throw new Error(`declarative_config: unknown file type: ${file}. (Accepted types: json, yaml)`);
  }
  try {
    return { text: readFileSync(file, 'utf8'), source: `declarative config file ${file}` };
  } catch (error) {
    throw new Error(`declarative_config: cannot read ${file}: ${messageOf(error)}`);
  }
}
