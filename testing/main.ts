export * from '../test/edge-dp/plugins/fakes.ts';
export { type DescribedRequest, type GatewayOptions, startGateway, type TestGateway } from './gateway.ts';
export type { UpstreamHandler } from './upstreams.ts';
