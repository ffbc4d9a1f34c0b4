import { Stack, Text, TextInput, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { informationQuery } from '../admin/queries.ts';
import { Icon } from '../parts/icons.tsx';
import { Empty, Foreign, Unread } from '../parts/pieces.tsx';
import { groupedPlugins, wordsOf } from './plugin-words.ts';
import { rowsQuery } from './queries.ts';

/** Which plugin it is to be, by what plugins are for. `scope` stays in the address. */
export function PluginChoice({ scope }: { readonly scope: Readonly<Record<string, string>> }) {
  const { data, error, refetch } = useQuery(informationQuery);
  // Those in Lua come and go while the control plane runs.
  const inLua = useQuery(rowsQuery('custom-plugins'));
  const [looked, look] = useState('');
  if (data === undefined) return <Unread error={error} again={refetch} lines={8} />;
  const own = (inLua.data?.rows ?? []).map((row) => String(row.name));
  const names = new Set([...Object.keys(data.plugins.available_on_server), ...own]);
  const groups = groupedPlugins([...names].sort(), looked);
  return (
    <Stack gap="lg">
      <TextInput
        aria-label="Find a plugin"
        placeholder="Find a plugin by name or by what it does"
        leftSection={<Icon name="search" size={16} />}
        value={looked}
        onChange={({ currentTarget }) => look(currentTarget.value)}
        maw={460}
      />
      {groups.length === 0 && (
        <Empty icon="plugins" title="No plugin fits">
          Try another word, such as log, token or cache.
        </Empty>
      )}
      {groups.map(([group, names]) => (
        <section key={group} aria-label={group}>
          <Title order={2} size="h5" mb="xs">
            {group}
          </Title>
          <div className="hf-cards">
            {names.map((name) => (
              <Link
                key={name}
                className="hf-card"
                to="/config/$kind/new"
                params={{ kind: 'plugins' }}
                search={{ ...scope, plugin: name }}
              >
                <Text fw={600} size="sm">
                  <Foreign text={name} most={80} />
                </Text>
                <Text size="sm" c="dimmed">
                  {wordsOf(name).text}
                </Text>
              </Link>
            ))}
          </div>
        </section>
      ))}
    </Stack>
  );
}
