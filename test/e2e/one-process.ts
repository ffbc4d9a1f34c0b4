import { freePorts } from '../free-port.ts';

/** Where one process that is both planes listens. */
export interface OneProcess {
  /** URLs. */
  readonly admin: string;
  readonly proxy: string;
  /** As `holdfast` takes them, but for those of a test's own. */
  readonly settings: Readonly<Record<string, string>>;
}

/** Settings of one process with as little beside it as can be, on free ports; without a prefix, in that of the folder it is started in. */
export async function oneProcess(prefix?: string): Promise<OneProcess> {
  const [admin = 0, proxy = 0, status = 0] = await freePorts(3);
  return {
    admin: `http://127.0.0.1:${admin}`,
    proxy: `http://127.0.0.1:${proxy}`,
    settings: {
      ...(prefix !== undefined && { prefix }),
      nginx_worker_processes: '1',
      admin_listen: `127.0.0.1:${admin}`,
      proxy_listen: `127.0.0.1:${proxy}`,
      status_listen: `127.0.0.1:${status}`,
      admin_gui_listen: 'off',
      cluster_listen: '127.0.0.1:0',
      cluster_telemetry_listen: 'off',
    },
  };
}
