import { Alert, Autocomplete, Button, Group, SegmentedControl, Stack, Text, TextInput } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useRef, useState } from 'react';
import { AdminError, reasonOf, write } from '../admin/client.ts';
import { afterWrite } from '../admin/queries.ts';
import { ChangeList } from '../parts/change-list.tsx';
import { Icon } from '../parts/icons.tsx';
import { ButtonLink } from '../parts/links.tsx';
import { Section, Unread } from '../parts/pieces.tsx';
import { plain } from '../parts/plain.ts';
import { tellOutcome } from '../shell/outcome.tsx';
import { pendingQuery } from './queries.ts';
import { RingInput } from './ring-input.tsx';
import { memberOf, newRing, type RingDraft, strategyOf, timeOf } from './rings.ts';

/** What is written and waits for a group, and the form that releases it. */
export function Pending({ group }: { readonly group: string }) {
  const { data, error, refetch } = useQuery(pendingQuery(group));
  return (
    <Section title={`Waits for group ${plain(group, 60)}`}>
      {data === undefined ? (
        <Unread error={error} again={refetch} lines={2} />
      ) : data.data.length === 0 ? (
        <Text size="sm" c="dimmed">
          Nothing: its data planes have all that is written.
        </Text>
      ) : (
        <Stack gap="md">
          <ChangeList changes={data.data} />
          <Group>
            <ButtonLink to="/replay" search={{ of: `pending ${group}` }} variant="default" size="xs">
              See what it would do to requests
            </ButtonLink>
          </Group>
          <ReleaseForm group={group} count={data.data.length} seen={data.config_hash} />
        </Stack>
      )}
    </Section>
  );
}

/** What a release is asked to be, as it stands in the form. */
interface Draft {
  readonly at: string;
  readonly rings: readonly RingDraft[];
  readonly by: string;
  readonly seen: string;
}

interface FormProps {
  readonly group: string;
  readonly count: number;
  /** What is shown: that is released, and nothing that was written since. */
  readonly seen: string;
}

function ReleaseForm({ group, count, seen }: FormProps) {
  const client = useQueryClient();
  const [how, setHow] = useState('all');
  const [at, setAt] = useState('');
  const keys = useRef(2);
  const [rings, setRings] = useState<readonly RingDraft[]>([newRing(0, 10), newRing(1, 50)]);
  const [by, setBy] = useState('client_ip');
  const isSplit = rings.some(({ share }) => share !== '');
  const begins = useRef<HTMLInputElement>(null);
  const [half, setHalf] = useState(false);
  const release = useMutation({
    mutationFn: (sent: Draft) => {
      const begins = timeOf(sent.at);
      const body = {
        group,
        config_hash: sent.seen,
        ...(begins !== null && { at: begins }),
        ...(how === 'rings' && { strategy: strategyOf(sent.rings, sent.by) }),
      };
      return write('POST', '/releases', body, 'cluster');
    },
    async onSuccess(written) {
      // How far it comes is told with the release itself.
      tellOutcome(`Released to ${group}`, { ...written, serial: null });
      await afterWrite(client);
    },
  });
  const submit = () => {
    // Of a time that is typed in half a browser tells nothing, as if there were none: then it would begin at once.
    const unfinished = begins.current?.validity.badInput === true;
    setHalf(unfinished);
    if (!unfinished) release.mutate({ at, rings, by, seen });
  };
  const { error, variables: sent } = release;
  const faults = error instanceof AdminError ? error.fields : {};
  const faultOf = (field: string): string | undefined => {
    const fault = faults[field];
    return typeof fault === 'string' ? fault : undefined;
  };
  // What was refused is said of what was sent: of another value nobody knows yet.
  const ringFault = (ring: RingDraft, member: string): string | undefined => {
    const place = sent?.rings.findIndex(({ key }) => key === ring.key) ?? -1;
    const refused = sent?.rings[place];
    return refused === undefined || memberOf(refused, member) !== memberOf(ring, member)
      ? undefined
      : faultOf(`strategy[${place + 1}]${member}`);
  };
  const byFaults = sent?.rings.map((_, place) => faultOf(`strategy[${place + 1}].traffic.by`)) ?? [];
  return (
    <>
      {error !== null && (
        <Alert color="red" variant="light" role="alert">
          {plain(reasonOf(error), 1000)}
        </Alert>
      )}
      <Group align="flex-end" gap="sm">
        <SegmentedControl
          aria-label="To whom"
          data={[
            { value: 'all', label: 'All at once' },
            { value: 'rings', label: 'Ring by ring' },
          ]}
          value={how}
          onChange={setHow}
        />
        <TextInput
          ref={begins}
          type="datetime-local"
          label="Begins"
          description="At once, unless you say when."
          value={at}
          onChange={({ currentTarget }) => {
            setAt(currentTarget.value);
            setHalf(false);
          }}
          error={half ? 'Say both day and time, or neither' : sent?.at === at ? faultOf('at') : undefined}
        />
      </Group>
      {how === 'rings' && (
        <Stack gap="sm">
          {rings.map((ring, place) => (
            <RingInput
              key={ring.key}
              ring={ring}
              number={place + 1}
              group={group}
              faultOf={(member) => ringFault(ring, member)}
              onChange={(next) => setRings(rings.map((one) => (one.key === ring.key ? next : one)))}
              {...(rings.length > 1 && { onRemove: () => setRings(rings.filter(({ key }) => key !== ring.key)) })}
            />
          ))}
          {isSplit && (
            <Autocomplete
              label="Requests are told apart by"
              description="The same in all rings: client_ip, consumer, header:name, or on Cloudflare colo."
              data={['client_ip', 'consumer', 'header:x-user', 'colo']}
              value={by}
              onChange={setBy}
              error={sent?.by === by ? byFaults.find(Boolean) : undefined}
              maw={420}
              spellCheck={false}
            />
          )}
          <Group>
            <Button
              variant="default"
              size="xs"
              leftSection={<Icon name="plus" size={14} />}
              onClick={() => setRings([...rings, newRing(keys.current++, 100)])}
            >
              Add a ring
            </Button>
          </Group>
        </Stack>
      )}
      <Group gap="md">
        <Button loading={release.isPending} onClick={submit}>
          Release {count === 1 ? 'it' : `these ${count}`}
        </Button>
        {how === 'rings' && (
          <Text size="sm" c="dimmed">
            After the last ring everybody has it. A gate that is broken undoes the release by itself.
          </Text>
        )}
      </Group>
    </>
  );
}
