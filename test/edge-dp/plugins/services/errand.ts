import type { SyslogLine, TlsOptions } from '../../../../edge-dp/plugins/runtime/services.ts';

/** What a request asks of the services of its node. */
export type Errand =
  | {
      readonly does: 'connect';
      readonly host: string;
      readonly port: number;
      readonly tls: TlsOptions | null;
      readonly pool?: string;
      readonly timeout?: number;
      /** After the first line that comes in clear. */
      readonly startTls?: TlsOptions;
      readonly send: string;
      /** How often it is sent. */
      readonly times?: number;
      /** Reads one line and keeps the connection, or ends its side and reads to the end. */
      readonly keep?: number;
    }
  | { readonly does: 'datagram'; readonly host: string; readonly port: number; readonly packets: readonly string[] }
  | { readonly does: 'append'; readonly path: string; readonly reopen: boolean; readonly texts: readonly string[] }
  | { readonly does: 'syslog'; readonly lines: readonly SyslogLine[] }
  | { readonly does: 'fetch'; readonly url: string; readonly verify: boolean; readonly proxy?: string };
