import { Badge, Button, Chip, Code, Group, Stack, Text, TextInput } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import {
  type DifferingRequest,
  parseShape,
  REPLAY_ASPECTS,
  type ReplayAspect,
  type ReplayFigures,
} from '../../../../shared/cluster/replay.ts';
import { Icon } from '../parts/icons.tsx';
import { Facts, Foreign, Section } from '../parts/pieces.tsx';
import { plain } from '../parts/plain.ts';
import { ASPECTS, chosen, headerLines, MOST, type Replayed, requestLine, verdictText } from './replayed.ts';

/** Drawn at a time. */
const PAGE = 50;

/** What a replay found: how much would be different, and which requests, to be narrowed down. */
export function ReplayOutcome({ replayed }: { readonly replayed: Replayed }) {
  const { figures, node, serial, skipped, skippedFirst: first } = replayed;
  const { requests, changed, unsure, differing } = figures;
  return (
    <Stack gap="md">
      <Section title={changed === 0 ? 'Nothing would be different' : 'What would be different'}>
        <Facts
          rows={[
            ['Requests', requests.toLocaleString('en')],
            ['Would meet something else', changed.toLocaleString('en')],
            [
              'Compared with',
              <span key="c">
                serial {serial ?? 'none'} of{' '}
                <Link className="hf-link" to="/data-planes/$id" params={{ id: node.id }}>
                  <Foreign text={node.hostname} most={80} />
                </Link>
              </span>,
            ],
            ...(unsure > 0
              ? ([
                  [
                    'Not sure',
                    `${unsure.toLocaleString('en')}: something counts that is not known of them, and was taken as not there`,
                  ],
                ] as const)
              : []),
            ...(skipped > 0
              ? ([
                  ['Passed over', `${skipped.toLocaleString('en')} that are no request: ${plain(first ?? '', 300)}`],
                ] as const)
              : []),
          ]}
        />
      </Section>
      {differing.length > 0 && <Differing figures={figures} />}
    </Stack>
  );
}

function Differing({ figures: { differing, changes } }: { readonly figures: ReplayFigures }) {
  const [wanted, setWanted] = useState<ReadonlySet<ReplayAspect>>(new Set());
  const [words, setWords] = useState('');
  const [most, setMost] = useState(PAGE);
  const found = chosen(differing, wanted, words);
  return (
    <Section
      title="Requests"
      actions={
        <Badge variant="light" color="gray" radius="sm" tt="none">
          {found.length.toLocaleString('en')} of {differing.length.toLocaleString('en')}
        </Badge>
      }
    >
      <Stack gap="md">
        <Group gap="sm" align="center">
          <TextInput
            aria-label="Find requests"
            placeholder="Path, host, route, service"
            leftSection={<Icon name="search" size={16} />}
            value={words}
            onChange={({ currentTarget }) => setWords(currentTarget.value)}
            style={{ flex: '1 1 220px' }}
          />
          <Group gap={6}>
            {REPLAY_ASPECTS.filter((aspect) => changes[aspect] > 0).map((aspect) => (
              <Chip
                key={aspect}
                size="xs"
                radius="sm"
                title={ASPECTS[aspect]}
                checked={wanted.has(aspect)}
                onChange={(on) => {
                  const next = new Set(wanted);
                  if (on) next.add(aspect);
                  else next.delete(aspect);
                  setWanted(next);
                }}
              >
                {aspect} {changes[aspect].toLocaleString('en')}
              </Chip>
            ))}
          </Group>
        </Group>
        {found.length === 0 && (
          <Text size="sm" c="dimmed">
            None of those that are listed: other words, or fewer filters, may find some.
          </Text>
        )}
        {found.slice(0, most).map((one, place) => (
          // Two may look alike but for their headers.
          <One key={`${place} ${requestLine(one.request)}`} differing={one} />
        ))}
        {found.length > most && (
          <Group>
            <Button variant="default" size="xs" onClick={() => setMost(most + PAGE)}>
              Show {Math.min(PAGE, found.length - most)} more
            </Button>
          </Group>
        )}
        {differing.length >= MOST && (
          <Text size="sm" c="dimmed">
            The first {MOST.toLocaleString('en')} are listed; the numbers are of all.
          </Text>
        )}
      </Stack>
    </Section>
  );
}

function One({ differing: { request, changes, before, after } }: { readonly differing: DifferingRequest }) {
  const { count } = parseShape(request, 'request');
  return (
    <div>
      <Text size="sm" fw={600} className="hf-break">
        <Foreign text={requestLine(request)} most={500} />
        {count > 1 && (
          <Text span size="sm" c="dimmed" fw={400}>
            {' '}
            {count.toLocaleString('en')} requests
          </Text>
        )}
      </Text>
      {headerLines(request).map((line) => (
        <Text key={line} size="sm" c="dimmed" className="hf-break" ml="md">
          <Foreign text={line} most={300} />
        </Text>
      ))}
      {REPLAY_ASPECTS.filter((aspect) => changes.includes(aspect)).map((aspect) => {
        const [was, is] = [verdictText(before, aspect), verdictText(after, aspect)];
        return (
          <Text key={aspect} size="sm" className="hf-break" ml="md" mt={2}>
            {aspect}: <Code>{plain(was, 300)}</Code>{' '}
            {was === is ? (
              'with other settings'
            ) : (
              <>
                → <Code>{plain(is, 300)}</Code>
              </>
            )}
          </Text>
        );
      })}
    </div>
  );
}
