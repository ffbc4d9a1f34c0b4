import {
  Alert,
  Badge,
  Button,
  Code,
  Group,
  List,
  Paper,
  Select,
  Stack,
  Tabs,
  Text,
  Textarea,
  TextInput,
} from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { type FormEvent, useState } from 'react';
import type { Row } from '../../../../shared/record.ts';
import { reasonOf, write } from '../admin/client.ts';
import { dataPlanesQuery } from '../admin/queries.ts';
import { NO_ERRORS } from '../config/errors.ts';
import { referredId } from '../config/kinds.ts';
import { ReferenceInput } from '../config/reference-input.tsx';
import { DataPlaneChoice } from '../data-planes/choice.tsx';
import { Icon } from '../parts/icons.tsx';
import { Facts, Foreign, PageHead, Section } from '../parts/pieces.tsx';
import { plain } from '../parts/plain.ts';
import { type DescribedRequest, requestOfCurl } from './curl.ts';
import type { Explained } from './explained.ts';
import { TargetChoice } from './target-choice.tsx';

const page = getRouteApi('/explain');

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'];

/** Where a request would go, and why not elsewhere. */
export function Explain() {
  const [mode, setMode] = useState<string | null>('fields');
  const [curl, setCurl] = useState('');
  const [method, setMethod] = useState('GET');
  const [url, setUrl] = useState('http://localhost/');
  const [headers, setHeaders] = useState('');
  const [consumer, setConsumer] = useState<unknown>(null);
  const [address, setAddress] = useState('');
  const search = page.useSearch();
  const [asked, setAsked] = useState(search.on ?? '');
  const ask = useMutation({
    async mutationFn(): Promise<Explained> {
      const described = mode === 'curl' ? requestOfCurl(curl) : requestOf(method, url, headers);
      const who = referredId(consumer);
      const { body } = await write(
        'POST',
        `/debug/route${asked === '' ? '' : `?data_plane=${encodeURIComponent(asked)}`}`,
        {
          ...described,
          ...(who !== null && { consumer: who }),
          ...(address.trim() !== '' && { source_ip: address.trim() }),
        },
        'cluster',
      );
      const explained: Explained = JSON.parse(JSON.stringify(body));
      return explained;
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    ask.mutate();
  };
  return (
    <>
      <PageHead title="Explain">
        Describe a request, and a data plane says where it would send it, which plugins it would meet, and why no other
        route takes it. Nothing is sent.
      </PageHead>
      <Stack gap="md">
        <Paper withBorder p="lg" radius="md" component="form" onSubmit={submit} maw={760}>
          <Stack gap="md">
            <Tabs value={mode} onChange={setMode}>
              <Tabs.List mb="md">
                <Tabs.Tab value="fields">Describe it</Tabs.Tab>
                <Tabs.Tab value="curl">Paste a curl line</Tabs.Tab>
              </Tabs.List>
              <Tabs.Panel value="curl">
                <Textarea
                  label="curl line"
                  placeholder="curl -H 'accept: application/json' https://api.example.com/orders"
                  value={curl}
                  onChange={({ currentTarget }) => setCurl(currentTarget.value)}
                  autosize
                  minRows={3}
                  spellCheck={false}
                />
              </Tabs.Panel>
              <Tabs.Panel value="fields">
                <Stack gap="md">
                  <Group align="flex-end" gap="sm">
                    <Select
                      label="Method"
                      data={METHODS}
                      value={method}
                      onChange={(value) => setMethod(value ?? 'GET')}
                      w={120}
                    />
                    <TextInput
                      label="Address"
                      value={url}
                      onChange={({ currentTarget }) => setUrl(currentTarget.value)}
                      style={{ flex: '1 1 240px' }}
                      spellCheck={false}
                      autoComplete="off"
                    />
                  </Group>
                  <Textarea
                    label="Headers"
                    description="One to a line, as x-version: 2."
                    value={headers}
                    onChange={({ currentTarget }) => setHeaders(currentTarget.value)}
                    autosize
                    minRows={2}
                    spellCheck={false}
                  />
                </Stack>
              </Tabs.Panel>
            </Tabs>
            <ReferenceInput
              label="Consumer"
              field={CONSUMER}
              value={consumer}
              errors={NO_ERRORS}
              onChange={setConsumer}
            />
            <TextInput
              label="Client address"
              description="Where it counts: routes by source, plugins by address."
              placeholder="203.0.113.7"
              value={address}
              onChange={({ currentTarget }) => setAddress(currentTarget.value)}
              autoComplete="off"
            />
            <Asked asked={asked} onAsk={setAsked} />
            <Group>
              <Button type="submit" loading={ask.isPending}>
                Explain
              </Button>
            </Group>
          </Stack>
        </Paper>
        <div aria-live="polite">
          {ask.error !== null && (
            <Alert color="red" variant="light" icon={<Icon name="alert" />} title="This cannot be explained">
              {plain(reasonOf(ask.error), 1000)}
            </Alert>
          )}
          {ask.data !== undefined && <Outcome explained={ask.data} />}
        </div>
      </Stack>
    </>
  );
}

/** Which data plane is asked: they may have different configs. */
function Asked({ asked, onAsk }: { readonly asked: string; readonly onAsk: (id: string) => void }) {
  const { data = [] } = useQuery(dataPlanesQuery);
  return (
    <DataPlaneChoice
      nodes={data.filter(({ state, id }) => state === 'connected' || id === asked)}
      chosen={asked === '' ? null : asked}
      onChoose={(id) => onAsk(id ?? '')}
      otherwise="one with the newest config"
      nothingFound="No data plane that is connected has this name."
    />
  );
}

function NodeName({ id }: { readonly id: string }) {
  const { data = [] } = useQuery(dataPlanesQuery);
  const hostname = data.find((node) => node.id === id)?.hostname ?? '';
  return <Foreign text={hostname === '' ? `data plane ${id.slice(0, 8)}` : hostname} most={80} />;
}

const CONSUMER = {
  name: 'consumer',
  widget: 'reference',
  integer: false,
  required: false,
  initial: null,
  options: [],
  elements: null,
  fields: [],
  reference: 'consumers',
  secret: false,
  auto: false,
  referenceable: false,
  description: 'Who calls, as plugins for it see the request.',
  rule: '',
} as const;

function requestOf(method: string, address: string, headers: string): DescribedRequest {
  const whole = /^[a-z]+:\/\//i.test(address) ? address : `http://${address.replace(/^\/+/, 'localhost/')}`;
  if (!URL.canParse(whole))
    throw new Error(`'${address}' is no address: expected one as http://api.example.com/orders`);
  const { protocol, host, pathname, search } = new URL(whole);
  const pairs = new Map<string, string[]>();
  for (const line of headers.split('\n')) {
    const [, name = '', value = ''] = /^\s*([^:\s]+)\s*:\s*(.*?)\s*$/.exec(line) ?? [];
    if (name !== '') pairs.set(name.toLowerCase(), [...(pairs.get(name.toLowerCase()) ?? []), value]);
    else if (line.trim() !== '') throw new Error(`'${line.trim()}' is no header: expected one as x-version: 2`);
  }
  const named = pairs.get('host')?.at(-1);
  pairs.delete('host');
  return {
    method,
    scheme: protocol === 'https:' ? 'https' : 'http',
    host: named ?? host,
    path: pathname + search,
    headers: Object.fromEntries(pairs),
  };
}

function Outcome({ explained }: { readonly explained: Explained }) {
  const { route, service, upstream, winner, losers, omitted_losers: omitted, plugins } = explained;
  return (
    <Stack gap="md">
      <Section title={route === null ? 'No route takes it' : 'It goes here'}>
        {route === null ? (
          <Text size="sm">The data plane would answer 404: no Route matched with those values.</Text>
        ) : (
          <Facts
            rows={[
              ['Route', <To key="r" kind="routes" row={route} />],
              [
                'Service',
                service === null ? 'none: a plugin must answer' : <To key="s" kind="services" row={service} />,
              ],
              [
                'Passed on to',
                upstream === null ? (
                  'nobody'
                ) : (
                  <Foreign key="u" text={`${upstream.protocol}://${upstream.host}:${upstream.port}${upstream.path}`} />
                ),
              ],
              ...(upstream?.balanced && upstream.balancing == null
                ? ([['Targets', <Targets key="t" targets={upstream.targets} />]] as const)
                : []),
              [
                'Because',
                <Code key="b" className="hf-break">
                  {plain(winner?.expression === '' ? 'it takes every request' : (winner?.expression ?? ''), 1000)}
                </Code>,
              ],
              [
                'Asked',
                <Link key="n" className="hf-link" to="/data-planes/$id" params={{ id: explained.data_plane }}>
                  <NodeName id={explained.data_plane} />
                </Link>,
              ],
            ]}
          />
        )}
      </Section>
      {upstream?.balancing != null && <TargetChoice balancing={upstream.balancing} targets={upstream.targets} />}
      {upstream?.headers !== undefined && <Headers headers={upstream.headers} />}
      {route !== null && (
        <Section title="Plugins, in the order they run">
          {plugins.length === 0 ? (
            <Text size="sm" c="dimmed">
              None.
            </Text>
          ) : (
            <List type="ordered" size="sm" spacing={6}>
              {plugins.map((plugin) => (
                <List.Item key={plugin.id}>
                  <Link className="hf-link" to="/config/$kind/$id" params={{ kind: 'plugins', id: plugin.id }}>
                    <Foreign text={plugin.name} most={80} />
                  </Link>{' '}
                  <Text span c="dimmed" size="sm">
                    {scopeOf(plugin)}, priority {plugin.priority}
                  </Text>
                </List.Item>
              ))}
            </List>
          )}
        </Section>
      )}
      <Section
        title="Routes that do not get it"
        actions={
          <Badge variant="light" color="gray">
            {losers.length + omitted}
          </Badge>
        }
      >
        {losers.length === 0 ? (
          <Text size="sm" c="dimmed">
            No other route comes near.
          </Text>
        ) : (
          <Stack gap="xs">
            {losers.map(({ route: loser, reason }) => (
              <div key={loser.id}>
                <To kind="routes" row={loser} />{' '}
                <Text span size="sm" c="dimmed" className="hf-break">
                  {reason.kind === 'priority' ? (
                    reason.message
                  ) : (
                    <>
                      does not hold: <Code>{plain(reason.condition, 500)}</Code>
                    </>
                  )}
                </Text>
              </div>
            ))}
            {omitted > 0 && (
              <Text size="sm" c="dimmed">
                and {omitted} more
              </Text>
            )}
          </Stack>
        )}
      </Section>
    </Stack>
  );
}

/** What the upstream is sent beside the path. */
function Headers({ headers }: { readonly headers: Readonly<Record<string, string | null>> }) {
  return (
    <Section title="Headers it is passed on with">
      <Stack gap={2}>
        {Object.entries(headers).map(([name, value]) => (
          <Text key={name} size="sm" className="hf-break">
            <Foreign text={name} most={100} />:{' '}
            {value === null ? (
              <Text span inherit c="dimmed">
                only known when a request is there
              </Text>
            ) : (
              <Code>{plain(value, 500)}</Code>
            )}
          </Text>
        ))}
        <Text size="sm" c="dimmed">
          Before plugins change any of them.
        </Text>
      </Stack>
    </Section>
  );
}

function To({
  kind,
  row,
}: {
  readonly kind: string;
  readonly row: { readonly id: string; readonly name: string | null };
}) {
  return (
    <Link className="hf-link" to="/config/$kind/$id" params={{ kind, id: row.id }}>
      <Foreign text={row.name ?? row.id} most={80} />
    </Link>
  );
}

function Targets({ targets }: { readonly targets: NonNullable<Explained['upstream']>['targets'] }) {
  return (
    <Stack gap={2}>
      {targets.map(({ target, weight, available }) => (
        <Text key={target} size="sm">
          <Foreign text={target} /> weight {weight}
          {!available && ', not available'}
        </Text>
      ))}
    </Stack>
  );
}

function scopeOf(plugin: Readonly<Pick<Row, string>>): string {
  const scopes = ['route', 'service', 'consumer', 'consumer_group'].filter((name) => typeof plugin[name] === 'string');
  return scopes.length === 0 ? 'for all requests' : `for this ${scopes.join(' and ').replace('_', ' ')}`;
}
