/** What a plugin of one's own is written with: `import { … } from 'holdfast/handler'`. */
export { KONG_VERSION } from '../../shared/version.ts';
export type { BodySource, Content, HttpResponse } from '../http/messages.ts';
export { queryValues, withoutArgument } from '../proxy/query.ts';
export { authenticator } from './authentication.ts';
export { sameBytes } from './constant-time.ts';
export type { Exchange } from './runtime/exchange.ts';
export type { Identity } from './runtime/identity.ts';
export { type Answer, type Hooks, type Place, type Plugin, type Step, served, waitedFor } from './runtime/plugin.ts';
export type { Reply } from './runtime/reply.ts';
export type { GatewayRequest } from './runtime/request.ts';
export { ServiceError, type Services } from './runtime/services.ts';
export { type Slot, slot } from './runtime/slot.ts';
