import { Badge, Stack, Text } from '@mantine/core';
import type { DataPlaneDetail } from '../../../admin/cluster/cluster-view.ts';
import { Moment, Section, Short } from '../parts/pieces.tsx';
import { plain } from '../parts/plain.ts';

const STEPS = {
  applied: { label: 'Applied', color: 'teal' },
  rejected: { label: 'Refused', color: 'red' },
  withheld: { label: 'Withheld', color: 'orange' },
} as const;

/** What became of config at a data plane, the newest first. */
export function History({ steps }: { readonly steps: DataPlaneDetail['history'] }) {
  return (
    <Section title="What became of config here">
      {steps.length === 0 ? (
        <Text size="sm" c="dimmed">
          Nothing since it is known: it has not applied any yet, and refused none.
        </Text>
      ) : (
        <Stack gap={0}>
          {steps.map(({ at, change, serial, config_hash: hash, reason }) => (
            <div key={`${at} ${change} ${serial}`} className="hf-part">
              <Badge className="hf-pill" variant="light" color={STEPS[change].color} tt="none" radius="sm" w={84}>
                {STEPS[change].label}
              </Badge>
              <Text size="sm" fw={600} className="hf-num">
                {serial === null ? 'what is newer' : `serial ${serial}`}
              </Text>
              {hash !== null && <Short text={hash} what="config hash" />}
              <Text size="sm" c="dimmed">
                <Moment at={at} />
              </Text>
              {reason !== null && (
                <Text size="sm" className="hf-break" style={{ flexBasis: '100%' }}>
                  {plain(reason, 600)}
                </Text>
              )}
            </div>
          ))}
        </Stack>
      )}
    </Section>
  );
}
