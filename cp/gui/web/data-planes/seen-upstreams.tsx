import { Group, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { workspace as current } from '../admin/address.ts';
import { HealthPill } from '../health/pill.tsx';
import { Foreign, Section, Unread } from '../parts/pieces.tsx';
import { seenUpstreamsQuery } from './queries.ts';

/** Upstreams that are drawn, those in trouble first. */
const SHOWN = 50;

/** The targets of upstreams as one data plane sees them. */
export function SeenUpstreams({ id }: { readonly id: string }) {
  const { data, error, refetch } = useQuery(seenUpstreamsQuery(id));
  const troubles = (upstream: NonNullable<typeof data>[number]) =>
    upstream.targets.filter(({ health }) => health === 'UNHEALTHY' || health === 'DNS_ERROR').length;
  const sorted = (data ?? []).toSorted((a, b) => troubles(b) - troubles(a));
  return (
    <Section title="Health of upstreams as it sees them">
      {data === undefined ? (
        <Unread error={error} again={refetch} lines={2} />
      ) : sorted.length === 0 ? (
        <Text size="sm" c="dimmed">
          It has told of none: no upstream has health checks, or a target that was marked.
        </Text>
      ) : (
        <Stack gap={0}>
          {sorted.slice(0, SHOWN).map((upstream) => (
            <div key={upstream.id} className="hf-part">
              {upstream.workspace === current ? (
                <Link
                  className="hf-link hf-break"
                  to="/config/$kind/$id"
                  params={{ kind: 'upstreams', id: upstream.id }}
                >
                  <Foreign text={upstream.name} most={100} />
                </Link>
              ) : (
                <Text size="sm" fw={600} className="hf-break">
                  <Foreign text={`${upstream.name} in workspace ${upstream.workspace}`} most={160} />
                </Text>
              )}
              <Stack gap={4} style={{ flexBasis: '100%' }}>
                {upstream.targets.map(({ id: target, target: address, health, addresses }) => (
                  <Group key={target} gap="xs">
                    <Text size="sm" className="hf-break">
                      <Foreign text={address} most={120} />
                    </Text>
                    <HealthPill health={health} />
                    {addresses.length > 1 && (
                      <Text size="sm" c="dimmed" className="hf-break">
                        {addresses
                          .slice(0, 10)
                          .map(({ ip, port, health: one }) => `${ip}:${port}${one === 'HEALTHY' ? '' : ' unhealthy'}`)
                          .join(', ')}
                      </Text>
                    )}
                  </Group>
                ))}
              </Stack>
            </div>
          ))}
          {sorted.length > SHOWN && (
            <Text size="sm" c="dimmed" mt="sm">
              and {sorted.length - SHOWN} more
            </Text>
          )}
        </Stack>
      )}
    </Section>
  );
}
