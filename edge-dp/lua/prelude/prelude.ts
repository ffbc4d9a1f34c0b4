import { KONG_PRELUDE } from './kong.ts';
import { MEMORIES_PRELUDE } from './memories.ts';
import { MODULES_PRELUDE } from './modules.ts';
import { NGX_PRELUDE } from './ngx.ts';
import { SANDBOX_PRELUDE } from './sandbox.ts';
import { VAULT_PRELUDE } from './vault.ts';

/**
 * What of `kong` and `ngx` is written in Lua: tables that are looked up, functions of any number of arguments, modules. Run once in
 * each machine that runs Lua of config, after the natives are there, with those it needs as its argument. One chunk: later parts see
 * the locals of earlier ones.
 */
export const GATEWAY_PRELUDE =
  KONG_PRELUDE + NGX_PRELUDE + MODULES_PRELUDE + MEMORIES_PRELUDE + VAULT_PRELUDE + SANDBOX_PRELUDE;
