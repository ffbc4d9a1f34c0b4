import {
  ActionIcon,
  Anchor,
  AppShell,
  Burger,
  Group,
  NavLink,
  ScrollArea,
  Select,
  Text,
  useComputedColorScheme,
  useMantineColorScheme,
} from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { Link, Outlet, useRouterState } from '@tanstack/react-router';
import { useEffect, useRef } from 'react';
import { enterWorkspace, workspace } from '../admin/address.ts';
import { useLiveEvents } from '../admin/live.ts';
import { workspacesQuery } from '../admin/queries.ts';
import { Icon } from '../parts/icons.tsx';
import { ConnectionBanner } from './connection-banner.tsx';
import { NAVIGATION } from './navigation.ts';
import { OutcomeNote } from './outcome.tsx';

/** What is around every page. */
export function Shell() {
  const [opened, menu] = useDisclosure();
  const path = useRouterState({ select: ({ location }) => location.pathname });
  const main = useRef<HTMLElement>(null);
  useLiveEvents();
  const { close } = menu;
  // Who follows a link by keyboard goes on in the new page, not in the menu.
  useEffect(() => {
    close();
    if (document.activeElement?.closest('nav') != null) main.current?.focus();
    // The menu is longer than low windows are high.
    document.querySelector('nav [aria-current=page]')?.scrollIntoView({ block: 'nearest' });
  }, [path, close]);
  return (
    <AppShell
      header={{ height: 56 }}
      navbar={{ width: 232, breakpoint: 'sm', collapsed: { mobile: !opened } }}
      padding="lg"
    >
      <a className="hf-skip" href="#main">
        Skip to the page
      </a>
      <AppShell.Header>
        <Group h="100%" px="md" justify="space-between" wrap="nowrap">
          <Group gap="xs" wrap="nowrap">
            <Burger
              opened={opened}
              onClick={menu.toggle}
              hiddenFrom="sm"
              size="sm"
              aria-label="Menu"
              aria-expanded={opened}
            />
            <Anchor component={Link} to="/" underline="never" c="inherit">
              <Group gap={8} wrap="nowrap">
                <Icon name="anchor" size={22} />
                <Text fw={700}>Holdfast</Text>
              </Group>
            </Anchor>
          </Group>
          <Group gap="xs" wrap="nowrap">
            <WorkspaceChoice />
            <SchemeToggle />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar aria-label="Pages">
        <ScrollArea px="xs" pb="md">
          {NAVIGATION.map(({ title, pages }) => (
            <div key={title}>
              <div className="hf-nav-title">{title}</div>
              {pages.map(({ to, label, icon }) => (
                <NavLink
                  key={to}
                  component={Link}
                  to={to}
                  label={label}
                  leftSection={<Icon name={icon} />}
                  active={to === '/' ? path === '/' : path === to || path.startsWith(`${to}/`)}
                  {...((to === '/' ? path === '/' : path === to || path.startsWith(`${to}/`)) && {
                    'aria-current': 'page',
                  })}
                />
              ))}
            </div>
          ))}
        </ScrollArea>
      </AppShell.Navbar>
      <AppShell.Main id="main" ref={main} tabIndex={-1} style={{ outline: 'none' }}>
        <div className="hf-main">
          <ConnectionBanner />
          <Outlet />
        </div>
        <OutcomeNote />
      </AppShell.Main>
    </AppShell>
  );
}

/** Nothing, as long as there is one workspace. */
function WorkspaceChoice() {
  const { data = [] } = useQuery(workspacesQuery);
  const names = [...new Set([...data.map(({ name }) => name), workspace])];
  if (names.length < 2) return null;
  return (
    <Select
      aria-label="Workspace"
      data={names}
      value={workspace}
      onChange={(name) => name !== null && enterWorkspace(name)}
      size="xs"
      w={150}
    />
  );
}

function SchemeToggle() {
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme('light');
  const next = scheme === 'dark' ? 'light' : 'dark';
  return (
    <ActionIcon variant="default" size="lg" onClick={() => setColorScheme(next)} aria-label={`Use the ${next} theme`}>
      <Icon name={scheme === 'dark' ? 'sun' : 'moon'} />
    </ActionIcon>
  );
}
