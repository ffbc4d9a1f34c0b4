/** Milliseconds: what Kong's sockets go by where they are told nothing (`lua_socket_connect_timeout` and its like). */
const BY_DEFAULT = 60_000;

/** A timeout as it is kept. Zero, which configs may say, is no time at all but the default, as for Kong. */
export function patienceOf(timeout: number): number {
  return timeout > 0 ? timeout : BY_DEFAULT;
}
