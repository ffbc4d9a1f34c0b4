import '@mantine/core/styles.css';
import 'uplot/dist/uPlot.min.css';
import './shell/styles.css';
import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { retries } from './admin/queries.ts';
import { router } from './shell/router.tsx';
import { contrasts, theme } from './theme.ts';

const client = new QueryClient({
  defaultOptions: {
    // What was read stays, also while the browser believes that there is no network: the control plane may be on this machine.
    queries: { networkMode: 'always', retry: retries, staleTime: 1_000, gcTime: 30 * 60_000 },
    mutations: { networkMode: 'always', retry: false },
  },
});

const place = document.getElementById('root');
if (place === null) throw new Error('the page has no place for the Manager');
createRoot(place).render(
  <StrictMode>
    <MantineProvider theme={theme} cssVariablesResolver={contrasts} defaultColorScheme="auto">
      <QueryClientProvider client={client}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);
