import type { Database, Session } from './database.ts';
import { CHANNELS, type Notifications } from './notifications.ts';
import type { ControlPlaneMessages } from './store.ts';

/** For how long whoever missed a message is told of it. */
const KEPT = "interval '10 minutes'";
/** Milliseconds between looks, should a notification get lost. */
const POLL_INTERVAL = 5_000;
/** Milliseconds in which one with a lower number may still be committed: longer than any statement takes. */
const OVERTAKEN = 60_000;
const PAGE = 1_000;

/** Messages stand in a table: a notification that gets lost, as over a connection that broke, loses none of them. */
export function controlPlaneMessages(database: Database, notifications: Notifications): ControlPlaneMessages {
  return {
    async send(text) {
      await database.query(
        `WITH sent AS (INSERT INTO control_plane_messages (message) VALUES ($1) RETURNING id)
         SELECT pg_notify('${CHANNELS.messages}', id::text) FROM sent`,
        [text],
      );
    },
    subscribe: (onMessage) => follow(database, notifications, onMessage),
  };
}

function follow(database: Database, notifications: Notifications, onMessage: (text: string) => void): () => void {
  /** Everything up to here was told, and in `told` what is above it, with the time. Null: what there is now is for others. */
  let floor: number | null = null;
  const told = new Map<number, number>();
  let looking: Promise<void> | null = null;
  let again = false;
  let stopped = false;

  async function look(): Promise<void> {
    const now = performance.now();
    for (const [id, at] of told) {
      if (now - at < OVERTAKEN) break;
      told.delete(id);
      floor = Math.max(floor ?? 0, id);
    }
    const known = floor;
    let after = known ?? 0;
    for (let more = true; more && !stopped; ) {
      const rows = await database.query(
        {
          name: 'messages_after',
          // Where all are below, the database is an older one: its numbers begin again.
          text: `SELECT id::double precision AS id, message FROM control_plane_messages
            WHERE id > CASE WHEN $1::bigint > (SELECT max(id) FROM control_plane_messages) THEN 0 ELSE $1::bigint END
              AND sent_at > now() - ${KEPT} ORDER BY id LIMIT ${PAGE}`,
        },
        [after],
      );
      for (const row of rows) {
        const id = Number(row.id);
        if (id <= after) {
          told.clear();
          floor = 0;
        }
        after = id;
        if (told.has(id) || stopped) continue;
        told.set(id, now);
        if (known !== null) onMessage(String(row.message));
      }
      more = rows.length === PAGE;
    }
    floor ??= 0;
  }

  /** One look at a time; what is heard of meanwhile is looked for once more. */
  function wake(): void {
    if (looking !== null) {
      again = true;
      return;
    }
    // A database that cannot be reached is no news, and wakes everyone when it is back.
    looking = look()
      .catch(() => undefined)
      .finally(() => {
        looking = null;
        if (!again || stopped) return;
        again = false;
        wake();
      });
  }

  const unsubscribe = notifications.subscribe(CHANNELS.messages, wake);
  const timer = database.concurrent ? setInterval(wake, POLL_INTERVAL) : null;
  timer?.unref();
  wake();
  return () => {
    stopped = true;
    unsubscribe();
    if (timer !== null) clearInterval(timer);
  };
}

/** Forgets what everybody had the time to hear. */
export async function purgeMessages(session: Session): Promise<void> {
  await session.query(`DELETE FROM control_plane_messages WHERE sent_at <= now() - ${KEPT}`);
}
