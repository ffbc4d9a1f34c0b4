import { Badge, Group, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { Row } from '../../../../shared/record.ts';
import { TargetsHealth } from '../health/targets-health.tsx';
import { Icon } from '../parts/icons.tsx';
import { ButtonLink } from '../parts/links.tsx';
import { Foreign, Section, Unread } from '../parts/pieces.tsx';
import { CallIt } from './call-it.tsx';
import { callOf, type Kind, kindBySlug } from './kinds.ts';
import { GROUPS, MEMBERS, Memberships } from './memberships.tsx';
import { parentOf } from './new.tsx';
import { wordsOf } from './plugin-words.ts';
import { partsQuery, rowsQuery } from './queries.ts';

/** What belongs to a row: of a service its routes with their plugins, its own plugins, and the upstream it is spread over. */
export function Parts({ kind, row }: { readonly kind: Kind; readonly row: Row }) {
  return (
    <Stack gap="md">
      {kind.name === 'services' && <UpstreamOf service={row} />}
      {kind.name === 'consumer_groups' && <Memberships side={MEMBERS} owner={row} />}
      {kind.parts.map(({ slug, field, path }) => {
        const part = kindBySlug(slug);
        return part === undefined ? null : (
          <PartList key={slug} owner={kind} row={row} part={part} field={field} path={path} />
        );
      })}
      {kind.name === 'upstreams' && <TargetsHealth upstream={String(row.id)} />}
      {kind.name === 'consumers' && <Memberships side={GROUPS} owner={row} />}
      {kind.name === 'routes' && <CallIt route={row} />}
    </Stack>
  );
}

function PartList(props: {
  readonly owner: Kind;
  readonly row: Row;
  readonly part: Kind;
  readonly field: string;
  readonly path: string;
}) {
  const { owner, row, part, field, path } = props;
  const { data, error, refetch } = useQuery(partsQuery(owner.slug, String(row.id), path));
  const add = (
    <ButtonLink
      to="/config/$kind/new"
      params={{ kind: part.slug }}
      search={{ for: `${field}:${row.id}` }}
      variant="default"
      size="xs"
      leftSection={<Icon name="plus" size={14} />}
    >
      Add {/^(?:[aeiou]|HMAC)/i.test(part.singular) ? 'an' : 'a'} {part.singular}
    </ButtonLink>
  );
  return (
    <Section title={part.plural} actions={add}>
      {data === undefined ? (
        <Unread error={error} again={refetch} lines={2} />
      ) : data.length === 0 ? (
        <Text size="sm" c="dimmed">
          {NEXT[`${owner.name} ${part.name}`] ?? `None yet.`}
        </Text>
      ) : (
        data.map((one) => (
          <div key={String(one.id)}>
            <PartLine part={part} row={one} />
            {part.name === 'routes' && (
              <div className="hf-part-inside">
                <PluginsOf route={one} />
              </div>
            )}
          </div>
        ))
      )}
    </Section>
  );
}

/** What to do where nothing is yet. */
const NEXT: Readonly<Record<string, string>> = {
  'services routes': 'No request can reach this service yet: add a route that says which do.',
  'services plugins': 'Nothing is done with requests to this service but passing them on.',
  'routes plugins': 'Nothing is done with requests of this route alone.',
  'consumers keyauth_credentials': 'Without a key it cannot pass the key-auth plugin.',
  'consumers basicauth_credentials': 'Without a password it cannot pass the basic-auth plugin.',
  'consumers jwt_secrets': 'Without one its tokens cannot pass the jwt plugin.',
  'consumers hmacauth_credentials': 'Without one its signatures cannot pass the hmac-auth plugin.',
  'consumers oauth2_credentials': 'Without an application it can get no token of the oauth2 plugin.',
  'consumers acls': 'It is in none: an acl plugin that lets in certain groups keeps it out.',
  'consumers plugins': 'Nothing is done with its requests alone.',
  'consumer_groups plugins': 'Nothing is done with requests of its members alone.',
  'key_sets keys': 'Nothing can be checked by it yet: add a key.',
  'oauth2_credentials oauth2_tokens': 'It has no token: it asks for one, or is given one here.',
  'upstreams targets': 'Without a target, requests to this upstream are answered 503.',
  'certificates snis': 'It is shown for no host name yet.',
};

function PartLine({ part, row }: { readonly part: Kind; readonly row: Row }) {
  const isPlugin = part.name === 'plugins';
  const about = isPlugin
    ? wordsOf(String(row.name)).text
    : part.name === 'routes'
      ? matchOf(row)
      : part.name === 'targets'
        ? `weight ${row.weight}`
        : '';
  return (
    <div className="hf-part">
      <Icon name={part.icon} size={16} className="hf-faint" />
      <Link
        className="hf-link"
        to="/config/$kind/$id"
        params={{ kind: part.slug, id: String(row.id) }}
        search={parentOf(part, row)}
      >
        <Foreign text={callOf(part, row)} most={100} />
      </Link>
      {row.enabled === false && (
        <Badge variant="light" color="gray" tt="none" radius="sm">
          off
        </Badge>
      )}
      {about !== '' && (
        <Text size="sm" c="dimmed" className="hf-break">
          <Foreign text={about} most={200} />
        </Text>
      )}
    </div>
  );
}

/** Which requests a route takes, in short. */
export function matchOf(route: Readonly<Row>): string {
  if (typeof route.expression === 'string') return route.expression;
  const list = (value: unknown) => (Array.isArray(value) ? value.join(', ') : '');
  return [list(route.methods), list(route.hosts), list(route.paths)].filter((part) => part !== '').join('  ');
}

function PluginsOf({ route }: { readonly route: Row }) {
  const { data = [] } = useQuery(partsQuery('routes', String(route.id), 'plugins'));
  const part = kindBySlug('plugins');
  return part === undefined
    ? null
    : data.map((plugin) => <PartLine key={String(plugin.id)} part={part} row={plugin} />);
}

/** Where requests to a service go: its address, or the targets of the upstream that its host names. */
function UpstreamOf({ service }: { readonly service: Row }) {
  const { data } = useQuery(rowsQuery('upstreams'));
  const upstream = data?.rows.find(({ name }) => name === service.host);
  const targets = useQuery({
    ...partsQuery('upstreams', String(upstream?.id), 'targets'),
    enabled: upstream !== undefined,
  });
  const part = kindBySlug('targets');
  if (data === undefined || part === undefined) return null;
  return (
    <Section title={upstream === undefined ? 'Where requests go' : 'Upstream'}>
      {upstream === undefined ? (
        <Text size="sm" className="hf-break">
          Requests go to <Foreign text={addressIn(service)} most={200} />. To spread them over several addresses, make
          an upstream and set the host of this service to its name.
        </Text>
      ) : (
        <Group gap="xs">
          <Text size="sm">Requests are spread over the targets of</Text>
          <Link className="hf-link" to="/config/$kind/$id" params={{ kind: 'upstreams', id: String(upstream.id) }}>
            <Foreign text={String(upstream.name)} most={80} />
          </Link>
        </Group>
      )}
      {(targets.data ?? []).map((target) => (
        <PartLine key={String(target.id)} part={part} row={target} />
      ))}
    </Section>
  );
}

const addressIn = ({ protocol, host, port, path }: Readonly<Row>): string =>
  `${protocol}://${host}:${port}${path ?? ''}`;
