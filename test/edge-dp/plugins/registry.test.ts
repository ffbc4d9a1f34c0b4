import { expect, it } from 'vitest';

import { plugins } from '../../../edge-dp/plugins/registry.ts';
import { plugins as schemas } from '../../../shared/plugins/registry.ts';

it.each([...plugins.values()].map((plugin) => [plugin.name, plugin] as const))(
  'runs %s in the place and at the version that the control plane knows it by',
  (name, { version, priority }) => {
    expect(schemas.get(name)).toMatchObject({ version, priority });
  },
);
