import type { SessionConfig } from '../../../shared/plugins/session.ts';

/** A config whose every time, name and attribute is known. */
export type SessionSettings = ReturnType<typeof settled>;

/** What a config unsets has the value of lua-resty-session itself, to which Kong leaves it then. */
export function settled(config: SessionConfig) {
  return {
    ...config,
    audience: config.audience ?? 'default',
    idling_timeout: config.idling_timeout ?? 900,
    rolling_timeout: config.rolling_timeout ?? 3600,
    absolute_timeout: config.absolute_timeout ?? 86_400,
    stale_ttl: config.stale_ttl ?? 10,
    cookie_name: config.cookie_name ?? 'session',
    cookie_path: config.cookie_path ?? '/',
    cookie_same_site: config.cookie_same_site ?? 'Lax',
    cookie_http_only: config.cookie_http_only ?? true,
    remember_cookie_name: config.remember_cookie_name ?? 'remember',
    remember_rolling_timeout: config.remember_rolling_timeout ?? 604_800,
    remember_absolute_timeout: config.remember_absolute_timeout ?? 2_592_000,
  };
}
