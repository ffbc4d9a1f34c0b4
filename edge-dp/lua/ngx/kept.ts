import { LuaNative, type LuaValue } from '../../../shared/lua/value.ts';
import { isMap } from '../arguments.ts';
import { contextOf, type LuaContext } from '../context.ts';
import { consumerOf, credentialIn, credentialOf, entity } from '../kong/client.ts';
import { uriCaptures } from '../kong/request.ts';

/** What Kong keeps of a request in `ngx.ctx`, by its names there: public plugins read it, though no documentation has it. */
export const kept = new LuaNative('kept', (call) => {
  const context = contextOf(call);
  const name = call.type(1) === 'string' ? call.text(1) : '';
  return Object.hasOwn(KEPT, name) ? KEPT[name]?.(context) : undefined;
});

const KEPT: Readonly<Record<string, (context: LuaContext) => LuaValue>> = {
  route: ({ subject: { route } }) => (route === null ? undefined : entity(route.row)),
  service: ({ subject: { service } }) => (service === null ? undefined : entity(service.row)),
  workspace: ({ subject }) => subject.workspace,
  authenticated_consumer: ({ subject: { identity } }) =>
    identity.consumer === null ? undefined : entity(identity.consumer.row),
  authenticated_credential: (context) => {
    if (context.session !== null || context.handshake !== null) return undefined;
    const { credential } = context.request.identity;
    return credential === null ? undefined : credentialOf(credential);
  },
  authenticated_groups(context) {
    if (context.session !== null || context.handshake !== null) return undefined;
    return context.request.identity.authenticatedGroups ?? undefined;
  },
  router_matches(context) {
    if (context.session !== null || context.handshake !== null) return undefined;
    const { matchedPath, method, headers } = context.request;
    const uri_captures = uriCaptures(context.request);
    return { uri: matchedPath ?? undefined, uri_captures, method, host: headers.get('host') };
  },
};

/**
 * `ngx.ctx.authenticated_consumer = …` and the credential likewise: plugins of one's own say so whom they found a request to come from.
 * False: the name means nothing here.
 */
export const setKept = new LuaNative('set_kept', (call) => {
  const name = call.type(1) === 'string' ? call.text(1) : '';
  if (name !== 'authenticated_consumer' && name !== 'authenticated_credential') return false;
  const context = contextOf(call);
  if (context.session !== null || context.handshake !== null) return false;
  const { identity } = context.request;
  const { consumer, credential } = identity;
  const value = call.value(2);
  if (name === 'authenticated_consumer') identity.assume(isMap(value) ? consumerOf(value) : null, credential);
  else if (isMap(value)) identity.assume(consumer, credentialIn(value));
  // Whatever else it is, there is one.
  else identity.assume(consumer, call.truth(2) ? { id: null, identifier: null } : null);
  return true;
});
