import { definePlugin, type Entity, headerName, httpProtocols } from 'holdfast/schema';

/** Refuses coffee, and counts how often it was asked for. */
const teapot = definePlugin({
  name: 'teapot',
  version: '1.0.0',
  priority: 900,
  phases: ['access', 'header_filter', 'log'],
  fields: {
    protocols: httpProtocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        header: { ...headerName, required: true, default: 'X-Drink' },
        report_to: { type: 'string', referenceable: true },
      },
    },
  },
});

export default teapot;
export type TeapotConfig = Entity<typeof teapot>['config'];
