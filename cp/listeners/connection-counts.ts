import type { Server } from 'node:http';

/** Counts of a server's connections and requests, under the names of nginx's stub status. */
export class ConnectionCounts {
  #active = 0;
  #accepted = 0;
  #requests = 0;
  #answering = 0;

  watch(server: Server): void {
    server.on('connection', (socket) => {
      this.#accepted++;
      this.#active++;
      socket.once('close', () => this.#active--);
    });
    server.on('request', (_request, response) => {
      this.#requests++;
      this.#answering++;
      response.once('close', () => this.#answering--);
    });
  }

  snapshot() {
    return {
      connections_active: this.#active,
      connections_reading: 0,
      connections_writing: this.#answering,
      connections_waiting: Math.max(0, this.#active - this.#answering),
      connections_accepted: this.#accepted,
      connections_handled: this.#accepted,
      total_requests: this.#requests,
    };
  }
}
