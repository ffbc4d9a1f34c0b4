import { Alert, Text } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef } from 'react';
import { ADMIN } from '../admin/address.ts';
import { read } from '../admin/client.ts';
import { useConnection } from '../admin/connection.ts';
import { Icon } from '../parts/icons.tsx';
import { dateAndTime } from '../parts/time.ts';

/** Milliseconds between two tries to reach a control plane that is gone. */
const PATIENCE = 2_000;

/** Says that the control plane is gone, asks for it until it is back, and has everything read again then. */
export function ConnectionBanner() {
  const { lostAt, answeredAt } = useConnection();
  const client = useQueryClient();
  const wasLost = useRef(false);
  useEffect(() => {
    if (lostAt === null) {
      if (wasLost.current) void client.invalidateQueries();
      wasLost.current = false;
      return undefined;
    }
    wasLost.current = true;
    // One question at a time: browsers have few connections for one server, and one that hangs keeps them.
    let asking = false;
    const timer = setInterval(() => {
      if (asking) return;
      asking = true;
      read('/')
        .catch(() => undefined)
        .finally(() => {
          asking = false;
        });
    }, PATIENCE);
    return () => clearInterval(timer);
  }, [lostAt, client]);
  return (
    <div aria-live="polite">
      {lostAt !== null && (
        <Alert
          color="orange"
          variant="light"
          icon={<Icon name="alert" />}
          title="The control plane does not answer"
          mb="lg"
        >
          <Text size="sm">
            {answeredAt === null
              ? `Nothing answers at ${ADMIN}.`
              : `What is shown is as of ${dateAndTime(answeredAt / 1000)}. Data planes go on with the config they have.`}{' '}
            Trying again every two seconds.
          </Text>
        </Alert>
      )}
    </div>
  );
}
