import { Alert, Button, Group, Stack, Text } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { reasonOf, write } from '../admin/client.ts';
import { Foreign, Section, Unread } from '../parts/pieces.tsx';
import { plain } from '../parts/plain.ts';
import { HealthPill } from './pill.tsx';
import { type TargetHealth, targetsHealthQuery } from './queries.ts';
import { HEALTHS } from './words.ts';

/** Data planes that are named of each state. */
const NAMED = 5;
/** Milliseconds within which data planes that are well say what they made of a mark. */
const TOLD = 1_000;

/** The targets of an upstream by their health, each with marks that data planes keep to whatever they see. */
export function TargetsHealth({ upstream }: { readonly upstream: string }) {
  const { data, error, refetch } = useQuery(targetsHealthQuery(upstream));
  return (
    <Section title="Health of its targets">
      {data === undefined ? (
        <Unread error={error} again={refetch} lines={2} />
      ) : data.length === 0 ? (
        <Text size="sm" c="dimmed">
          It has no targets yet.
        </Text>
      ) : (
        <Stack gap={0}>
          {data.map((target) => (
            <OneTarget key={target.id} upstream={upstream} target={target} />
          ))}
          <Text size="sm" c="dimmed" mt="sm">
            A mark is told to every data plane that is connected now. It holds until a health check or another mark says
            otherwise, or the data plane starts anew.
          </Text>
        </Stack>
      )}
    </Section>
  );
}

function OneTarget({ upstream, target }: { readonly upstream: string; readonly target: TargetHealth }) {
  const client = useQueryClient();
  const mark = useMutation({
    async mutationFn(to: 'healthy' | 'unhealthy') {
      const path = `/upstreams/${encodeURIComponent(upstream)}/targets/${encodeURIComponent(target.id)}/${to}`;
      await write('PUT', path, undefined, 'workspace');
      await new Promise((told) => setTimeout(told, TOLD));
    },
    onSuccess: () => client.invalidateQueries({ queryKey: ['health'] }),
  });
  const { data_planes: seen } = target;
  const states = [...Map.groupBy(seen, ({ health }) => health)];
  return (
    <div className="hf-part">
      <Text fw={600} size="sm" className="hf-break" style={{ flex: '1 1 160px' }}>
        <Foreign text={target.target} most={120} />
      </Text>
      <HealthPill health={target.health} />
      <Group gap={6}>
        {(['healthy', 'unhealthy'] as const).map((to) => (
          <Button
            key={to}
            size="compact-xs"
            variant="default"
            loading={mark.isPending && mark.variables === to}
            aria-label={`Mark ${to}: ${plain(target.target, 80)}`}
            onClick={() => mark.mutate(to)}
          >
            Mark {to}
          </Button>
        ))}
      </Group>
      <div style={{ flexBasis: '100%' }}>
        {seen.length === 0 ? (
          <Text size="sm" c="dimmed">
            No data plane has told of it.
          </Text>
        ) : (
          states.map(([health, nodes]) => (
            <Text key={health} size="sm" c="dimmed" className="hf-break">
              {HEALTHS[health].label} at {nodes.length} of {seen.length} data planes:{' '}
              {nodes.slice(0, NAMED).map(({ id, hostname }, at) => (
                <span key={id}>
                  {at > 0 && ', '}
                  <Link className="hf-link" to="/data-planes/$id" params={{ id }}>
                    <Foreign text={hostname === '' ? id : hostname} most={60} />
                  </Link>
                </span>
              ))}
              {nodes.length > NAMED && ` and ${nodes.length - NAMED} more`}
            </Text>
          ))
        )}
        {target.data.addresses.some(({ health }) => health === 'UNHEALTHY') && (
          <Text size="sm" className="hf-break">
            Without requests:{' '}
            {target.data.addresses
              .filter(({ health }) => health === 'UNHEALTHY')
              .map(({ ip, port }) => `${ip}:${port}`)
              .join(', ')}
          </Text>
        )}
        {mark.error !== null && (
          <Alert mt="xs" color="red" variant="light" role="alert">
            {plain(reasonOf(mark.error), 500)}
          </Alert>
        )}
      </div>
    </div>
  );
}
