// Before everything that may ask for the time.
import { putAhead } from './moved-clock.ts';
import { Status as UsualStatus } from './worker.ts';

export * from './worker.ts';
export { default } from './worker.ts';

/** The Status API, and `POST /clock?ahead=<milliseconds>`, by which a test puts the clock of its data plane ahead. */
export class Status extends UsualStatus {
  override async fetch(request: Request): Promise<Response> {
    const url = new URL(request.url);
    if (request.method !== 'POST' || url.pathname !== '/clock') return super.fetch(request);
    putAhead(Number(url.searchParams.get('ahead')));
    return new Response(null, { status: 204 });
  }
}
