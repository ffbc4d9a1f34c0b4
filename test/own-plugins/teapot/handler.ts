import { type Plugin, slot } from 'holdfast/handler';
import type { TeapotConfig } from './schema.ts';

/** What the client wanted to drink. */
const wanted = slot<string>();

/** Refuses coffee, and counts how often it was asked for. */
const teapot: Plugin<TeapotConfig> = {
  name: 'teapot',
  version: '1.0.0',
  priority: 900,
  compile({ header, report_to }, place, services) {
    return {
      access(request) {
        const drink = request.headers.get(header);
        if (drink === null) return undefined;
        wanted.set(request, drink);
        return drink === 'coffee' ? request.error(418, "I'm a teapot") : undefined;
      },
      response(request, reply) {
        if (wanted.get(request) === 'tea') reply.headers.set('X-Served-In', 'a pot');
        return undefined;
      },
      log({ request, reply, aborted }) {
        if (report_to === null || aborted || wanted.get(request) === undefined) return;
        const body = JSON.stringify({ plugin: place.id, drink: wanted.get(request), status: reply.status });
        request.waitUntil(
          services.fetch({ url: report_to, method: 'POST', body, timeout: 1000 }).then((r) => r.discard()),
        );
      },
    };
  },
};

export default teapot;
