import { Code, Stack, Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { Foreign, Section } from '../parts/pieces.tsx';
import { type Balancing, chosen, type ExplainedTarget, standing } from './choice.ts';

/** Targets that are listed at most. */
const LISTED = 100;

/** Which target of an upstream the request goes to and why, with what becomes of the others. */
export function TargetChoice(props: { readonly balancing: Balancing; readonly targets: readonly ExplainedTarget[] }) {
  const { balancing, targets } = props;
  const { upstream, algorithm } = balancing;
  const { target, because } = chosen(balancing, targets);
  return (
    <Section title="The target it goes to">
      <Text size="sm" className="hf-break">
        {target !== null && (
          <>
            <Code>
              <Foreign text={target.target} most={200} />
            </Code>
            {': '}
          </>
        )}
        <Foreign text={because} />
      </Text>
      <Text size="sm" c="dimmed" mt={4} className="hf-break">
        By upstream{' '}
        <Link className="hf-link" to="/config/$kind/$id" params={{ kind: 'upstreams', id: upstream.id }}>
          <Foreign text={upstream.name} most={80} />
        </Link>
        , {algorithm}, as this data plane sees its targets now.
      </Text>
      {targets.length > 0 && (
        <Stack gap={0} mt="sm">
          {targets.slice(0, LISTED).map((one, at) => (
            <div className="hf-part" key={at}>
              <Text fw={600} size="sm" className="hf-break" style={{ flex: '1 1 200px' }}>
                <Foreign text={one.target} most={120} />
                {one.address != null && one.address !== one.target && (
                  <Text span inherit fw={400} c="dimmed">
                    {' '}
                    at {one.address}
                  </Text>
                )}
              </Text>
              <Text size="sm" c="dimmed" className="hf-nowrap">
                weight {one.weight}
              </Text>
              <Text size="sm" className="hf-break" style={{ flex: '1 1 240px' }}>
                {standing(one)}
              </Text>
            </div>
          ))}
          {targets.length > LISTED && (
            <Text size="sm" c="dimmed">
              and {targets.length - LISTED} more
            </Text>
          )}
        </Stack>
      )}
    </Section>
  );
}
