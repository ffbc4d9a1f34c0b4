import { describe, expect, it } from 'vitest';
import { incompatibility } from '../../../shared/cluster/compatibility.ts';

const node = { version: '0.1.0', plugins: { 'key-auth': '3.9.3' } };
const conflict = (capability: string) => [
  {
    entity: 'plugins',
    id: 'p1',
    capability,
    reason: "'consumer_group' is set, which needs plugins of consumer groups",
  },
];

describe('config a data plane would take for another than it is', () => {
  it('is not given to it: a plugin of a group, to one that knows no groups', () => {
    expect(incompatibility('0.1.0', node, {}, conflict('consumer_groups'))).toEqual({
      sync_status: 'plugin_set_incompatible',
      reason:
        "plugins p1: 'consumer_group' is set, which needs plugins of consumer groups; this data plane is too old to know what it says",
    });
  });

  it('is not what it merely cannot honour', () => {
    expect(incompatibility('0.1.0', node, {}, conflict('upstream_http2'))).toBeNull();
  });
});
