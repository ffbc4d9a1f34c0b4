import { ActionIcon, Group, Paper, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useSyncExternalStore } from 'react';
import type { Written } from '../admin/client.ts';
import { dataPlanesQuery, groupsQuery } from '../admin/queries.ts';
import { Icon } from '../parts/icons.tsx';
import { TextLink } from '../parts/links.tsx';
import { plain } from '../parts/plain.ts';

/** What a write did, to be told wherever one goes next. */
interface Outcome {
  readonly text: string;
  readonly serial: number | null;
  readonly withheld: string | null;
}

let outcome: Outcome | null = null;
const listeners = new Set<() => void>();

/** Tells of a write, in place of what was told before. */
export function tellOutcome(text: string, { serial, withheld }: Written): void {
  set({ text, serial, withheld });
}

function set(next: Outcome | null): void {
  outcome = next;
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Milliseconds for which a success is told: once it is live wherever it goes at once, and at most. */
const SHOWN = 20_000;
const WAITED = 120_000;

/** What the last write did, and how far it has come. */
export function OutcomeNote() {
  const told = useSyncExternalStore(subscribe, () => outcome);
  const reach = useReach(told?.serial ?? null);
  const isThere = reach === null || reach.live === reach.direct;
  useEffect(() => {
    if (told === null || told.withheld !== null) return undefined;
    const timer = setTimeout(() => set(null), isThere ? SHOWN : WAITED);
    return () => clearTimeout(timer);
  }, [told, isThere]);
  return (
    <div aria-live="polite" className="hf-outcome">
      {told !== null && (
        <Paper withBorder shadow="md" p="sm" radius="md">
          <Group wrap="nowrap" align="flex-start" gap="sm">
            <Icon name={told.withheld === null ? 'check' : 'alert'} />
            <div style={{ minWidth: 0, flex: 1 }}>
              <Text size="sm" fw={600} className="hf-break">
                {plain(told.text)}
              </Text>
              {told.withheld === null ? (
                reach !== null && <Reach serial={told.serial} {...reach} />
              ) : (
                <Text size="sm" className="hf-break">
                  {plain(told.withheld, 1000)}
                </Text>
              )}
            </div>
            <ActionIcon variant="subtle" color="gray" size="sm" aria-label="Dismiss" onClick={() => set(null)}>
              <Icon name="close" size={14} />
            </ActionIcon>
          </Group>
        </Paper>
      )}
    </div>
  );
}

interface ReachOf {
  /** Data planes that get what is written at once, and those of them that have it. */
  readonly direct: number;
  readonly live: number;
  /** Groups whose data planes get it when it is released. */
  readonly waiting: readonly string[];
}

/** How far a serial has come; null: nothing is known to go anywhere. */
function useReach(serial: number | null): ReachOf | null {
  const { data: nodes = [] } = useQuery({ ...dataPlanesQuery, enabled: serial !== null });
  const { data: groups = [] } = useQuery({ ...groupsQuery, enabled: serial !== null });
  const connected = nodes.filter(({ state }) => state === 'connected');
  if (serial === null || connected.length === 0) return null;
  const held = new Set(groups.flatMap(({ name, publish }) => (publish === 'release' ? [name] : [])));
  const direct = connected.filter(({ group }) => !held.has(group));
  return {
    direct: direct.length,
    live: direct.filter((node) => (node.serial ?? -1) >= serial).length,
    waiting: [...new Set(connected.flatMap(({ group }) => (held.has(group) ? [group] : [])))],
  };
}

function Reach({ serial, direct, live, waiting }: ReachOf & { readonly serial: number | null }) {
  return (
    <>
      {direct > 0 && (
        <Text size="sm" c="dimmed">
          Serial {serial}: live on {live} of {direct} data planes
        </Text>
      )}
      {waiting.length > 0 && (
        <Text size="sm" c="dimmed" className="hf-break">
          Data planes of {plain(waiting.join(', '), 100)} get it when{' '}
          <TextLink to="/releases" underline="always">
            it is released
          </TextLink>
        </Text>
      )}
    </>
  );
}
